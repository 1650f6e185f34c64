/* Look-ups among the documents of a run by 64 bits of each: those that stand twice in a query, those that are judged.

   runlines.py does the same without this file, and gives the same answers; where one cannot be told from what is here, it is
   asked. Only the limited API of Python 3.11 is used: one build serves all later versions. */

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

/* The hash of runlines.hashes: eight bytes at a time, the first one the lowest. */
static uint64_t hash_of(const char *text, Py_ssize_t length)
{
    uint64_t mixed = (uint64_t)length * 0x9E3779B97F4A7C15u;
    for (; length > 0; text += 8, length -= 8) {
        uint64_t word = 0;
        for (int i = 0; i < (length < 8 ? (int)length : 8); i++)
            word |= (uint64_t)(unsigned char)text[i] << 8 * i;
        mixed = (mixed ^ word) * 0x9E3779B97F4A7C15u;
        mixed ^= mixed >> 32;
    }
    return mixed;
}

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
    if (i < 0 || i >= all->bounds.len / 8 - 1 || bounds[i] < 0 || bounds[i] > bounds[i + 1] ||
        bounds[i + 1] > all->hashes.len / 8)
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

/* ── judgements ──────────────────────────────────────────────────────────────────────────────────────────────────────── */

typedef struct {
    const char *text;
    Py_ssize_t length;
    int64_t grade;
} Judgement;

/* The judgements of one query; their hashes stand apart. */
typedef struct {
    Judgement *all;
    uint64_t *hashes;
    Py_ssize_t n, room;
} Judgements;

/* Take them from a dictionary. False if they are no strings with integers, perhaps with an error set. */
static int take(Judgements *judgements, PyObject *grades)
{
    PyObject *key, *value;
    Py_ssize_t place = 0, n = PyDict_Check(grades) ? PyDict_Size(grades) : -1;
    if (n > judgements->room) {
        PyMem_Free(judgements->all);
        PyMem_Free(judgements->hashes);
        judgements->all = PyMem_Malloc(n * sizeof *judgements->all);
        judgements->hashes = PyMem_Malloc(n * sizeof *judgements->hashes);
        judgements->room = judgements->all == NULL || judgements->hashes == NULL ? 0 : n;
    }
    if (n < 0 || n > judgements->room)
        return 0;
    for (judgements->n = 0; judgements->n < n && PyDict_Next(grades, &place, &key, &value); judgements->n++) {
        Judgement *one = judgements->all + judgements->n;
        if (!PyUnicode_Check(key) || !PyLong_Check(value))
            return 0;
        one->text = PyUnicode_AsUTF8AndSize(key, &one->length);
        one->grade = PyLong_AsLongLong(value);
        if (one->text == NULL || (one->grade == -1 && PyErr_Occurred()))
            return 0;
        judgements->hashes[judgements->n] = hash_of(one->text, one->length);
    }
    return 1;
}

/* The documents of the lines, and what is written of those that are found: whose judgements, line, grade. */
typedef struct {
    Py_buffer offsets, ids, which, lines, grades;
    Py_ssize_t n;
} Found;

static int is_document(const Found *found, Py_ssize_t line, const Judgement *one)
{
    const int32_t *offsets = found->offsets.buf;
    if (line >= found->offsets.len / 4 - 1 || offsets[line] < 0 || offsets[line + 1] > found->ids.len)
        return 0;
    return offsets[line + 1] - (int64_t)offsets[line] == one->length &&
           memcmp((const char *)found->ids.buf + offsets[line], one->text, one->length) == 0;
}

/* Find the judged documents of one query. False if a hash is that of two different documents, or if there is no room. */
static int find(Found *found, const Stretches *lines, Py_ssize_t row, const Judgements *judgements, Py_ssize_t which,
                Table *table)
{
    const uint64_t *have;
    Py_ssize_t n, room = found->which.len / 8;
    if (found->lines.len / 8 < room || found->grades.len / 8 < room)
        return 0;
    if (!stretch_of(lines, row, &have, &n) || !fill(table, judgements->hashes, judgements->n, 4))
        return 0;
    for (Py_ssize_t i = 0; i < n; i++) {
        uint32_t slot = *slot_of(table, judgements->hashes, have[i]);
        if (!slot)
            continue;
        const Judgement *one = judgements->all + slot - 1;
        Py_ssize_t at = found->n, line = have + i - (const uint64_t *)lines->hashes.buf;
        if (!is_document(found, line, one) || at >= room)
            return 0;
        ((int64_t *)found->which.buf)[at] = which;
        ((int64_t *)found->lines.buf)[at] = line;
        ((int64_t *)found->grades.buf)[at] = one->grade;
        found->n++;
    }
    return 1;
}

static PyObject *judged(PyObject *module, PyObject *args)
{
    Stretches lines;
    Found found = {.n = 0};
    Judgements judgements = {NULL, NULL, 0, 0};
    Table table = {NULL, 0, 0, 0};
    Py_buffer rows;
    PyObject *qrels;
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*O!w*w*w*:judged", &lines.hashes, &lines.bounds, &found.offsets, &found.ids, &rows,
                          &PyList_Type, &qrels, &found.which, &found.lines, &found.grades))
        return NULL;
    Py_ssize_t n = rows.len / 8, i = n == PyList_Size(qrels) ? 0 : -1;
    while (0 <= i && i < n)
        i = take(&judgements, PyList_GetItem(qrels, i)) &&
            find(&found, &lines, (Py_ssize_t)((const int64_t *)rows.buf)[i], &judgements, i, &table) ? i + 1 : -1;
    PyErr_Clear();
    PyMem_Free(judgements.all);
    PyMem_Free(judgements.hashes);
    PyMem_Free(table.slots);
    Py_buffer *held[] = {&lines.hashes, &lines.bounds, &found.offsets, &found.ids,
                         &rows,         &found.which,  &found.lines,   &found.grades};
    for (int at = 0; at < 8; at++)
        PyBuffer_Release(held[at]);
    return PyLong_FromSsize_t(i < 0 ? -1 : found.n);
}

static PyMethodDef METHODS[] = {
    {"all_differ", all_differ, METH_VARARGS, NULL},
    {"judged", judged, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, .m_name = "harness.data._hashes", .m_methods = METHODS};

PyMODINIT_FUNC PyInit__hashes(void)
{
    return PyModuleDef_Init(&MODULE);
}
