/* Look-ups among 64-bit hashes that lie in stretches: the documents of one query after those of another.

   runlines.py does the same without this file, and gives the same answers. Whether equal hashes come from equal documents is
   not asked here. Only the limited API of Python 3.11 is used: one build serves all later versions. */

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

/* Places of hashes: a slot holds a place + 1, or 0; at least half of the slots stay empty. */
typedef struct {
    uint32_t *slots;
    Py_ssize_t room;
    uint64_t mask;
    int shift;
} Table;

/* Empty the table and make room for n places. */
static int clear(Table *table, Py_ssize_t n)
{
    int bits = 4;
    while (bits < 31 && (Py_ssize_t)1 << bits < 2 * n)
        bits++;
    Py_ssize_t size = (Py_ssize_t)1 << bits;
    if (size > table->room) {
        PyMem_Free(table->slots);
        table->slots = PyMem_Malloc(size * sizeof *table->slots);
        table->room = table->slots == NULL ? 0 : size;
    }
    if (table->slots == NULL || size < 2 * n)
        return 0;
    memset(table->slots, 0, size * sizeof *table->slots);
    table->mask = (uint64_t)size - 1, table->shift = 64 - bits;
    return 1;
}

/* The slot of a hash, or the empty one where it would be put. */
static uint32_t *slot_of(const Table *table, const uint64_t *hashes, uint64_t hash)
{
    uint64_t at = hash * 0xD6E8FEB86659FD93u >> table->shift;
    while (table->slots[at] && hashes[table->slots[at] - 1] != hash)
        at = (at + 1) & table->mask;
    return table->slots + at;
}

/* Fill the table with hashes; of every ``2 * spare`` slots at most one is taken. False if one is there
   twice, or without memory. */
static int fill(Table *table, const uint64_t *hashes, Py_ssize_t n, int spare)
{
    int is_new = clear(table, n * spare);
    for (Py_ssize_t i = 0; i < n && is_new; i++) {
        uint32_t *slot = slot_of(table, hashes, hashes[i]);
        is_new = *slot == 0;
        *slot = (uint32_t)(i + 1);
    }
    return is_new;
}

/* Stretches of hashes, one after another: stretch i is ``bounds[i]`` to ``bounds[i + 1]``. */
typedef struct {
    Py_buffer hashes, bounds;
} Stretches;

static int stretch_of(const Stretches *all, Py_ssize_t i, const uint64_t **first, Py_ssize_t *n)
{
    const int64_t *bounds = all->bounds.buf;
    if (i < 0 || i >= all->bounds.len / 8 - 1 || bounds[i] < 0 || bounds[i + 1] < bounds[i] || bounds[i + 1] > all->hashes.len / 8)
        return 0;
    *first = (const uint64_t *)all->hashes.buf + bounds[i], *n = (Py_ssize_t)(bounds[i + 1] - bounds[i]);
    return 1;
}

static PyObject *all_differ(PyObject *module, PyObject *args)
{
    Stretches lines;
    Table table = {NULL, 0, 0, 0};
    if (!PyArg_ParseTuple(args, "y*y*:all_differ", &lines.hashes, &lines.bounds))
        return NULL;
    Py_ssize_t n_queries = lines.bounds.len / 8 - 1, query = 0, n;
    for (const uint64_t *first; query < n_queries; query++)
        if (!stretch_of(&lines, query, &first, &n) || !fill(&table, first, n, 2))
            break;
    PyMem_Free(table.slots);
    PyBuffer_Release(&lines.hashes);
    PyBuffer_Release(&lines.bounds);
    return PyBool_FromLong(query >= n_queries);
}

/* Write line and place of every hash of a line that is among those asked for of its query. The number of them, -1 if that
   cannot be told. */
static Py_ssize_t find(const Stretches *lines, const Stretches *asked, const Py_buffer *rows, Py_buffer *found)
{
    Table table = {NULL, 0, 0, 0};
    const uint64_t *have, *want;
    int64_t *line = found[0].buf, *place = found[1].buf;
    Py_ssize_t n_found = 0, room = (found[0].len < found[1].len ? found[0].len : found[1].len) / 8, n = 0, n_asked;
    int is_told = 1;
    for (Py_ssize_t i = 0; i < rows->len / 8 && is_told; i++) {
        is_told = stretch_of(lines, (Py_ssize_t)((const int64_t *)rows->buf)[i], &have, &n) &&
                  stretch_of(asked, i, &want, &n_asked) && fill(&table, want, n_asked, 4);
        for (Py_ssize_t at = 0; at < n && is_told; at++) {
            uint32_t slot = *slot_of(&table, want, have[at]);
            is_told = !slot || n_found < room;
            if (!slot || !is_told)
                continue;
            line[n_found] = have + at - (const uint64_t *)lines->hashes.buf;
            place[n_found++] = want + slot - 1 - (const uint64_t *)asked->hashes.buf;
        }
    }
    PyMem_Free(table.slots);
    return is_told ? n_found : -1;
}

static PyObject *members(PyObject *module, PyObject *args)
{
    Stretches lines, asked;
    Py_buffer rows, found[2];
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*w*w*:members", &lines.hashes, &lines.bounds, &rows, &asked.hashes, &asked.bounds,
                          found, found + 1))
        return NULL;
    Py_ssize_t n = find(&lines, &asked, &rows, found);
    Py_buffer *held[] = {&lines.hashes, &lines.bounds, &rows, &asked.hashes, &asked.bounds, found, found + 1};
    for (int i = 0; i < 7; i++)
        PyBuffer_Release(held[i]);
    return PyLong_FromSsize_t(n);
}

static PyMethodDef METHODS[] = {
    {"all_differ", all_differ, METH_VARARGS, NULL},
    {"members", members, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, .m_name = "harness.data._hashes", .m_methods = METHODS};

PyMODINIT_FUNC PyInit__hashes(void)
{
    return PyModuleDef_Init(&MODULE);
}
