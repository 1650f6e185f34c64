"""A corpus in memory, for the tests of the retrievers."""

from collections.abc import Iterator, Mapping

from harness.types import Document


class TinyCorpus:
    """Counts how often it is read."""

    def __init__(self, texts: Mapping[str, str | tuple[str, str]], fingerprint: str = "tiny") -> None:
        self.fingerprint, self.reads = fingerprint, 0
        self._documents = [
            Document(name, text) if isinstance(text, str) else Document(name, text[1], text[0]) for name, text in texts.items()
        ]

    def __len__(self) -> int:
        return len(self._documents)

    def __iter__(self) -> Iterator[Document]:
        self.reads += 1
        return iter(self._documents)
