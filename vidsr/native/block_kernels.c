/* Steps on the 8x8 grid of block codecs on a CPU; see vidsr/filters/before/deblock.py. */
#include "planes.h"

#define GRID 8
#define AROUND 4 /* pixels around a grid line: two on either side */

/* The four values around one place of a grid line, the step between the middle ones spread over them. */
INLINE void smooth(float *far_left, float *left, float *right, float *far_right, float limit) {
    float step = *right - *left, size = step < 0 ? -step : step;
    float before = *left - *far_left, after = *far_right - *right;
    before = before < 0 ? -before : before;
    after = after < 0 ? -after : after;
    float small = 1 - size / limit, flat = 1 - (before > after ? before : after) / (0.5f * size + 0.25f);
    small = small < 0 ? 0 : small > 1 ? 1 : small;
    flat = flat < 0 ? 0 : flat > 1 ? 1 : flat;
    float change = step * (small * flat);
    *far_left += 0.125f * change;
    *left += 0.375f * change;
    *right -= 0.375f * change;
    *far_right -= 0.125f * change;
}

/* Grid lines along a side: at 8, 16 and so on, up to two pixels before its end. */
static int lines_along(int length) { return length > GRID + 2 ? (length - 3) / GRID : 0; }

/* The steps of one row; `room` holds AROUND values for each grid line. */
static void smooth_across(float *restrict row, int width, float limit, float *restrict room) {
    int lines = lines_along(width);
    float *restrict a = room, *restrict b = a + lines, *restrict c = b + lines, *restrict d = c + lines;
    for (int n = 0; n < lines; n++) {
        const float *at = row + (n + 1) * GRID;
        a[n] = at[-2], b[n] = at[-1], c[n] = at[0], d[n] = at[1];
    }
    for (int n = 0; n < lines; n++) smooth(a + n, b + n, c + n, d + n, limit);
    for (int n = 0; n < lines; n++) {
        float *at = row + (n + 1) * GRID;
        at[-2] = a[n], at[-1] = b[n], at[0] = c[n], at[1] = d[n];
    }
}

INLINE float code(float value, float most) {
    value = value < 0 ? 0 : value > most ? most : value;
    return value + 12582912.0f - 12582912.0f; /* rounds to the nearest, as floats of that size have no fraction */
}

/* A plane of code values, uint8_t or uint16_t where `deep`, with `stride` bytes from row to row, its steps of less than
 * `limit` smoothed across and down; `out` is [height][width]. 1 without memory. */
int blocks_smooth(const void *codes, long stride, int deep, void *out, int height, int width, float limit, float most) {
    int grid_lines = lines_along(height);
    float *room = malloc(sizeof(float) * AROUND * (2L * width));
    if (!room) return 1;
    float *lines = room + (long)AROUND * width;
    for (int y = 0, count; y < height; y += count) {
        int next = (y + 2) / GRID * GRID; /* a grid line, if the four rows from here lie around it */
        count = (y + 2) % GRID == 0 && next >= GRID && next / GRID <= grid_lines ? AROUND : 1;
        for (int k = 0; k < count; k++) {
            const uint8_t *narrow = (const uint8_t *)codes + (y + k) * stride;
            const uint16_t *wide = (const uint16_t *)narrow;
            float *restrict row = lines + (long)k * width;
            if (deep)
                for (int x = 0; x < width; x++) row[x] = (float)wide[x];
            else
                for (int x = 0; x < width; x++) row[x] = (float)narrow[x];
            smooth_across(row, width, limit, room);
        }
        if (count == AROUND) {
            float *restrict a = lines, *restrict b = a + width, *restrict c = b + width, *restrict d = c + width;
            for (int x = 0; x < width; x++) smooth(a + x, b + x, c + x, d + x, limit);
        }
        long at = (long)y * width, values = (long)count * width;
        uint16_t *restrict to_wide = (uint16_t *)out + at;
        uint8_t *restrict to_narrow = (uint8_t *)out + at;
        if (deep)
            for (long i = 0; i < values; i++) to_wide[i] = (uint16_t)(int)code(lines[i], most);
        else
            for (long i = 0; i < values; i++) to_narrow[i] = (uint8_t)(int)code(lines[i], most);
    }
    free(room);
    return 0;
}
