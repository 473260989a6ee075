/* scan.c: where the pairs of a JSON object stand in its text; see option.h. */
#include "config/option.h"

struct cfg_scan cfg_scan_start(const char *text, size_t len)
{
    return (struct cfg_scan){text, len, 0, 1, 1};
}

static bool at_end(const struct cfg_scan *scan)
{
    return scan->at >= scan->len;
}

static void step(struct cfg_scan *scan)
{
    unsigned char c = (unsigned char)scan->text[scan->at++];

    if (c == '\n') {
        scan->line++;
        scan->column = 1;
    } else if ((c & 0xC0) != 0x80) { /* the bytes that continue a UTF-8 sequence do not count */
        scan->column++;
    }
}

/* From the opening quote to behind the closing one. */
static void skip_string(struct cfg_scan *scan)
{
    step(scan);
    while (!at_end(scan) && scan->text[scan->at] != '"') {
        if (scan->text[scan->at] == '\\')
            step(scan);
        if (!at_end(scan))
            step(scan);
    }
    if (!at_end(scan))
        step(scan);
}

bool cfg_scan_deep(struct cfg_scan *scan, unsigned max)
{
    unsigned depth = 0;

    while (!at_end(scan)) {
        char c = scan->text[scan->at];

        if (c == '"') {
            skip_string(scan);
            continue;
        }
        if ((c == '[' || c == '{') && ++depth > max)
            return true;
        if ((c == ']' || c == '}') && depth > 0)
            depth--;
        step(scan);
    }
    return false;
}

/* To the next of these characters that is not in a string. */
static bool find(struct cfg_scan *scan, char a, char b)
{
    while (!at_end(scan) && scan->text[scan->at] != a && scan->text[scan->at] != b)
        step(scan);
    return !at_end(scan);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* To the comma or bracket that ends a value; its length without the blanks behind it. */
static size_t skip_value(struct cfg_scan *scan)
{
    size_t start = scan->at, end = start;
    unsigned depth = 0;

    while (!at_end(scan)) {
        char c = scan->text[scan->at];

        if (depth == 0 && (c == ',' || c == '}' || c == ']'))
            break;
        if (c == '"') {
            skip_string(scan);
            end = scan->at;
            continue;
        }
        if (c == '[' || c == '{')
            depth++;
        else if (c == ']' || c == '}')
            depth--;
        step(scan);
        if (!is_blank(c))
            end = scan->at;
    }
    return end - start;
}

static void take_value(struct cfg_scan *scan, struct cfg_pair *pair)
{
    while (!at_end(scan) && is_blank(scan->text[scan->at]))
        step(scan);
    pair->value = scan->text + scan->at;
    pair->value_line = scan->line;
    pair->value_column = scan->column;
    pair->value_len = skip_value(scan);
}

bool cfg_scan_pair(struct cfg_scan *scan, struct cfg_pair *pair)
{
    /* Between two pairs stand blanks, a comma, and at the very beginning the bracket. */
    if (!find(scan, '"', '}') || scan->text[scan->at] == '}')
        return false;
    pair->line = scan->line;
    pair->column = scan->column;
    pair->key = scan->text + scan->at;
    skip_string(scan);
    pair->key_len = (size_t)(scan->text + scan->at - pair->key);
    if (!find(scan, ':', ':'))
        return false;
    step(scan);
    take_value(scan, pair);
    return true;
}

bool cfg_scan_item(struct cfg_scan *scan, struct cfg_pair *item)
{
    *item = (struct cfg_pair){0};
    if (at_end(scan)) /* behind the bracket of an empty array */
        return false;
    step(scan); /* the opening bracket, or the comma behind the last element */
    take_value(scan, item);
    item->line = item->value_line;
    item->column = item->value_column;
    return item->value_len > 0;
}
