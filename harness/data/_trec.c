/* The lines of a TREC run as columns, read in one pass.

   trec.py does the same without this file, and gives the same values. Where a line is not as nearly all are, or a number or a
   name is out of the ordinary, read_lines() gives None, and the other way is taken, which can also tell what is wrong. Only
   the limited API of Python 3.11 is used: one build serves all later versions. */

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef unsigned char byte;

static const uint64_t ODD = 0x9E3779B97F4A7C15u, HIGH_BITS = 0x8080808080808080u;
static const double TENS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                              1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* ── numbers ─────────────────────────────────────────────────────────────────────────────────────────────────────────── */

#ifdef __SIZEOF_INT128__
/* digits / 10^places, correctly rounded, for 1 <= digits and 1 <= places <= 19: a quotient of 63 or 64 bits and whether there
   is a rest decide to which side the last of 53 bits goes. */
static double divided(uint64_t digits, int places)
{
    uint64_t ten = 1;
    for (int i = 0; i < places; i++)
        ten *= 10;
    int up = __builtin_clzll(digits), ten_up = __builtin_clzll(ten);
    ten <<= ten_up;
    unsigned __int128 numerator = (unsigned __int128)(digits << up) << 63;
    uint64_t quotient = (uint64_t)(numerator / ten);
    int rest = numerator % ten != 0, dropped = 11 - __builtin_clzll(quotient);
    uint64_t half = (uint64_t)1 << (dropped - 1), low = quotient & (2 * half - 1), kept = quotient >> dropped;
    kept += low > half || (low == half && (rest || (kept & 1)));
    return ldexp((double)kept, dropped - 63 + ten_up - up);
}
#endif

/* As float() does it, for numbers that are not so easy. False for 0 and infinity, and where the text is too long; with an
   error set only without memory. */
static int any_number(const byte *first, const byte *end, double *value)
{
    char text[128], *stop;
    if (end - first >= (Py_ssize_t)sizeof text)
        return 0;
    memcpy(text, first, end - first);
    text[end - first] = 0;
    *value = PyOS_string_to_double(text, &stop, NULL);
    return stop == text + (end - first) && isfinite(*value) && *value != 0;
}

static const byte *digits_of(const byte *p, const byte *end, uint64_t *digits)
{
    for (; p < end && (byte)(*p - '0') < 10; p++)
        *digits = *digits * 10 + (byte)(*p - '0');
    return p;
}

/* The value of "-12.345e-6", correctly rounded. False for any other form, inf and nan among them. */
static int number(const byte *first, const byte *end, double *value)
{
    uint64_t digits = 0, power = 0;
    const byte *whole = first + (*first == '-'), *p = digits_of(whole, end, &digits);
    Py_ssize_t n_digits = p - whole, places = 0;
    if (!n_digits)
        return 0;
    if (p < end && *p == '.') {
        const byte *part = p + 1;
        p = digits_of(part, end, &digits);
        places = p - part;
        n_digits += places;
        if (!places)
            return 0;
    }
    if (p < end && (*p | 32) == 'e') {
        int is_negative = ++p < end && *p == '-';
        p += p < end && (*p == '-' || *p == '+');
        const byte *start = p;
        p = digits_of(p, end, &power);
        if (p == start || p - start > 4)
            return 0;
        places += is_negative ? (Py_ssize_t)power : -(Py_ssize_t)power;
    }
    if (p != end)
        return 0;
    double sign = *first == '-' ? -1.0 : 1.0;
    if (n_digits <= 19 && digits == 0)
        *value = sign * 0.0;
    else if (FLT_EVAL_METHOD == 0 && n_digits <= 19 && digits <= (uint64_t)1 << 53 && -22 <= places && places <= 22)
        *value = sign * (places < 0 ? (double)digits * TENS[-places] : (double)digits / TENS[places]);
#ifdef __SIZEOF_INT128__
    else if (n_digits <= 19 && 1 <= places && places <= 19)
        *value = sign * divided(digits, (int)places);
#endif
    else
        return any_number(first, end, value);
    return 1;
}

/* ── lines ───────────────────────────────────────────────────────────────────────────────────────────────────────────── */

typedef struct {
    const byte *first, *end;
} Word;

/* As one word, the first byte the lowest. */
static uint64_t eight_bytes(const byte *p)
{
    uint64_t word;
    memcpy(&word, p, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* The next word of the line; an empty one at its end, and where a byte stands that is no text. */
static Word next_word(const byte *p, const byte *limit)
{
    while (p < limit && (*p == ' ' || (*p >= '\t' && *p <= '\r' && *p != '\n')))
        p++;
    Word word = {p, p};
    while (word.end < limit && *word.end > ' ')
        word.end++;
    return word;
}

#ifdef __GNUC__
/* Six words with one space between them and no others, in 64 bytes: all gaps are looked for at once. False for other lines. */
static int plain_words(const byte *p, const byte *limit, Word *word)
{
    uint64_t gaps = 0;
    if (limit - p < 64)
        return 0;
    for (int i = 0; i < 64; i += 8) {
        uint64_t eight = eight_bytes(p + i), found = ~(((eight | HIGH_BITS) - 0x2121212121212121u) | eight) & HIGH_BITS;
        gaps |= ((found >> 7) * 0x0102040810204080u >> 56) << i; /* the high bit of each byte to one byte of bits */
    }
    const byte *first = p;
    for (int n = 0; n < 6; n++, gaps &= gaps - 1) {
        const byte *end = p + (gaps ? __builtin_ctzll(gaps) : 0);
        if (end <= first || *end != (n < 5 ? ' ' : '\n'))
            return 0;
        word[n] = (Word){first, end};
        first = end + 1;
    }
    return 1;
}
#else
#define plain_words(p, limit, word) 0
#endif

/* The hash of runlines.hashes: eight bytes at a time, the first one the lowest. Bytes before ``limit`` may be looked at, and
   ``marks`` collects the bits of those that count. */
static uint64_t hash_of(const byte *p, Py_ssize_t length, const byte *limit, uint64_t *marks)
{
    uint64_t mixed = (uint64_t)length * ODD;
    for (; length > 0; p += 8, length -= 8) {
        uint64_t word = 0;
        if (limit - p >= 8)
            word = eight_bytes(p) & (length < 8 ? ((uint64_t)1 << 8 * length) - 1 : ~(uint64_t)0);
        else
            for (int i = 0; i < (int)(limit - p < length ? limit - p : length); i++)
                word |= (uint64_t)p[i] << 8 * i;
        *marks |= word;
        mixed = (mixed ^ word) * ODD;
        mixed ^= mixed >> 32;
    }
    return mixed;
}

/* Columns to write to, of ``room`` lines, and how far they are filled. */
typedef struct {
    int32_t *codes, *offsets;
    byte *ids;
    double *scores;
    float *singles;
    uint64_t *hashes, marks;
    Py_ssize_t room, n, ids_room, ids_used;
    int falls;
} Columns;

/* The number of a query in order of appearance; -1 with an error set if its name is not UTF-8. */
static long code_of(PyObject *queries, Word name)
{
    PyObject *key = PyUnicode_DecodeUTF8((const char *)name.first, name.end - name.first, "strict"), *value = NULL;
    long code = -1;
    if (key == NULL)
        return -1;
    value = PyDict_GetItemWithError(queries, key);
    if (value != NULL)
        code = PyLong_AsLong(value);
    else if (!PyErr_Occurred() && (value = PyLong_FromSsize_t(PyDict_Size(queries))) != NULL) {
        code = PyDict_SetItem(queries, key, value) < 0 ? -1 : (long)PyDict_Size(queries) - 1;
        Py_DECREF(value);
    }
    Py_DECREF(key);
    return code;
}

/* Append a line. False if there is no room. */
static int append(Columns *out, long code, Word document, double score, const byte *limit)
{
    Py_ssize_t length = document.end - document.first, n = out->n;
    if (n >= out->room || length > out->ids_room - out->ids_used)
        return 0;
    memcpy(out->ids + out->ids_used, document.first, length);
    out->hashes[n] = hash_of(document.first, length, limit, &out->marks);
    out->codes[n] = (int32_t)code;
    out->scores[n] = score;
    out->singles[n] = (float)score;
    out->falls |= n && (code < out->codes[n - 1] || (code == out->codes[n - 1] && out->singles[n] > out->singles[n - 1]));
    out->ids_used += length;
    out->offsets[n + 1] = (int32_t)out->ids_used;
    out->n = n + 1;
    return 1;
}

/* Whether a carriage return ends the line here, and no line feed follows: only the other way of reading knows such lines. */
static int ends_in_return(const byte *p, const byte *limit)
{
    return p < limit && *p == '\r' && (p + 1 == limit || p[1] != '\n');
}

/* Where the next line begins, from a place in this one. */
static const byte *next_line(const byte *p, const byte *limit)
{
    if (p < limit && *p != '\n')
        p = memchr(p, '\n', limit - p);
    return p == NULL || p == limit ? limit : p + 1;
}

/* Fill the columns. False if a line is not as it must be; an error may be set then. */
static int fill(Columns *out, PyObject *queries, const byte *p, const byte *limit)
{
    Word known = {p, p}, word[6] = {{p, p}};
    long code = -1;
    for (; p < limit; p = next_line(word[5].end, limit)) {
        double score;
        int n = plain_words(p, limit, word) ? 6 : 0;
        for (; n < 6; p = word[n++].end) {
            word[n] = next_word(p, limit);
            if (word[n].first == word[n].end)
                break;
        }
        if (n == 0 && (word[0].end == limit || *word[0].end == '\n')) {
            word[5] = word[0];
            continue;
        }
        if (n < 6 || ends_in_return(word[5].end, limit) || !number(word[4].first, word[4].end, &score))
            return 0;
        Py_ssize_t length = word[0].end - word[0].first;
        if (code < 0 || length != known.end - known.first || memcmp(word[0].first, known.first, length) != 0) {
            known = word[0];
            code = code_of(queries, known);
        }
        if (code < 0 || code > INT32_MAX || !append(out, code, word[2], score, limit))
            return 0;
    }
    return 1;
}

static PyObject *read_lines(PyObject *module, PyObject *args)
{
    Py_buffer data, to[6];
    PyObject *queries, *result = NULL;
    if (!PyArg_ParseTuple(args, "y*w*w*w*w*w*w*:read_lines", &data, to, to + 1, to + 2, to + 3, to + 4, to + 5))
        return NULL;
    Columns out = {to[0].buf, to[1].buf, to[2].buf, to[3].buf, to[4].buf, to[5].buf, 0, to[0].len / 4, 0, to[2].len, 0, 0};
    int has_room = to[1].len >= 4 && to[1].len / 4 - 1 >= out.room && to[3].len / 8 >= out.room && to[4].len / 4 >= out.room &&
                   to[5].len / 8 >= out.room;
    out.ids_room = out.ids_room > INT32_MAX ? INT32_MAX : out.ids_room;
    if (has_room && (queries = PyDict_New()) != NULL) {
        out.offsets[0] = 0;
        if (fill(&out, queries, data.buf, (const byte *)data.buf + data.len))
            result = Py_BuildValue("(OnnOO)", queries, out.n, out.ids_used, out.falls ? Py_True : Py_False,
                                   out.marks & HIGH_BITS ? Py_False : Py_True);
        else if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
            PyErr_Clear();
            result = Py_NewRef(Py_None);
        }
        Py_DECREF(queries);
    } else if (!has_room)
        PyErr_SetString(PyExc_ValueError, "read_lines: the columns must have room for as many lines");
    PyBuffer_Release(&data);
    for (int i = 0; i < 6; i++)
        PyBuffer_Release(to + i);
    return result;
}

static PyMethodDef METHODS[] = {
    {"read_lines", read_lines, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, .m_name = "harness.data._trec", .m_methods = METHODS};

PyMODINIT_FUNC PyInit__trec(void)
{
    return PyModuleDef_Init(&MODULE);
}
