/* The lines of a TREC run as columns, read in one pass; documents that stand twice in a query; the judged ones.

   Everything here has a twin in Python (runlines.py, trec.py) that gives the same values and tells what is wrong. Where a file
   is not as nearly all are, or a number, a name or a memory block is out of the ordinary, a function returns None and the twin
   does the work. Only the limited API of Python 3.11 is used: one build serves all later versions. */

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef unsigned char byte;

static const uint64_t ODD = 0x9E3779B97F4A7C15u, ALSO_ODD = 0xD6E8FEB86659FD93u, HIGH_BITS = 0x8080808080808080u;
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

/* As float() does it. False where that does not fit into single words; 0 and infinity are left to the twin too, if digits
   other than 0 led to them. */
static int any_number(const byte *first, const byte *end, double *value)
{
    char text[128], *stop;
    if (end - first >= (Py_ssize_t)sizeof text)
        return 0;
    memcpy(text, first, end - first);
    text[end - first] = 0;
    *value = PyOS_string_to_double(text, &stop, NULL);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return 0;
    }
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
    const byte *whole = first + (*first == '-'), *p = digits_of(whole, end, &digits), *part = p;
    Py_ssize_t n_digits = p - whole;
    if (p < end && *p == '.' && n_digits) {
        part = p + 1;
        p = digits_of(part, end, &digits);
        n_digits += p - part;
    }
    if (!n_digits || p == part - 1 + (part > whole + n_digits - (p - part)))
        return 0;
    Py_ssize_t places = p - part;
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

/* The next word before the end of the line; an empty one where there is none, or where a byte stands that is no text. */
static Word next_word(const byte *p, const byte *end)
{
    while (p < end && (*p == ' ' || (*p >= '\t' && *p <= '\r' && *p != '\n')))
        p++;
    Word word = {p, p};
    while (word.end < end && *word.end > ' ')
        word.end++;
    return word;
}

/* The hash of runlines.hashes: eight bytes at a time, the first one the lowest. ``marks`` collects the bits of all bytes. */
static uint64_t hash_of(const byte *p, Py_ssize_t length, uint64_t *marks)
{
    uint64_t mixed = (uint64_t)length * ODD;
    for (; length > 0; p += 8, length -= 8) {
        uint64_t word = 0;
        if (length >= 8)
            for (int i = 0; i < 8; i++)
                word |= (uint64_t)p[i] << 8 * i;
        else
            for (int i = 0; i < (int)length; i++)
                word |= (uint64_t)p[i] << 8 * i;
        *marks |= word;
        mixed = (mixed ^ word) * ODD;
        mixed ^= mixed >> 32;
    }
    return mixed;
}
