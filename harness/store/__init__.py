"""Run folders: where they are, what is in them, written atomically and read back by version.

``run.json`` appears last and by rename: a folder that has it is finished and never written again by the code.
"""

from harness.store.columns import column_array
from harness.store.faults import fault_of
from harness.store.files import JOURNAL, RECORD, SAMPLES, SCHEMA, pretty, write_atomically, writing
from harness.store.finding import find_run, run_before
from harness.store.folders import create_run, is_finished, is_run_id, run_folders, slug
from harness.store.record import read_record, write_record
from harness.store.samples import PLAIN_COLUMNS, MetricColumn, SampleWriter, read_samples, samples_table

__all__ = [
    "JOURNAL",
    "PLAIN_COLUMNS",
    "RECORD",
    "SAMPLES",
    "SCHEMA",
    "MetricColumn",
    "SampleWriter",
    "column_array",
    "create_run",
    "fault_of",
    "find_run",
    "is_finished",
    "is_run_id",
    "pretty",
    "read_record",
    "read_samples",
    "run_before",
    "run_folders",
    "samples_table",
    "slug",
    "write_atomically",
    "write_record",
    "writing",
]
