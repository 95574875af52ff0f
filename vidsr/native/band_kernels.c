/* Bands of coarse quantising spread into gradients on a CPU; see vidsr/filters/banding/deband.py. */
#include "planes.h"

#define PART 256 /* pixels of a row that are worked on together */
#define OUTSIDE 1e9f /* beyond the picture: differs from everything */
#define LOOK 4 /* after every so many distances: does any pixel still go on? */

/* The pairs of neighbours at one distance of `count` pixels; see `corrections` in deband.py. */
INLINE void step_out(const float *restrict now, const float *restrict one, const float *restrict other, int count,
                     float limit, float *restrict alive, float *restrict sum, float *restrict pairs,
                     float *restrict steps) {
    for (int x = 0; x < count; x++) {
        float a = one[x] - now[x], b = other[x] - now[x], both = a + b, still = alive[x];
        float size_a = a < 0 ? -a : a, size_b = b < 0 ? -b : b, size = both < 0 ? -both : both;
        float largest = size_a > size_b ? size_a : size_b;
        /* The sum is larger than either only where both lie on one side of the pixel's own value. */
        still = largest <= limit ? still : 0.0f;
        still = size <= largest ? still : 0.0f;
        float differ = a != 0 ? 1.0f : 0.0f;
        differ += b != 0 ? 1.0f : 0.0f;
        alive[x] = still;
        sum[x] += still * both;
        pairs[x] += still;
        steps[x] += still * differ;
    }
}

/* For each sample of `plane` [height][width] by how much its surroundings, as far as they are a gradient in steps of at
 * most `limit`, lie above it. `out` as `plane`. `straight` and `slanting`: the largest distances; `fewest`: pairs
 * without which a direction has no say. 1 without memory. */
int bands_corrections(const float *plane, float *out, int height, int width, float limit, int straight, int slanting,
                      int fewest) {
    long stride = width + 2L * straight;
    float *room = malloc(sizeof(float) * stride * (height + 2L * straight));
    if (!room) return 1;
    for (long i = 0; i < stride * (height + 2L * straight); i++) room[i] = OUTSIDE;
    for (int y = 0; y < height; y++)
        memcpy(room + (y + straight) * stride + straight, plane + (long)y * width, sizeof(float) * width);
    static const int directions[4][2] = {{0, 1}, {1, 0}, {1, 1}, {1, -1}};
    for (int y = 0; y < height; y++)
        for (int left = 0; left < width; left += PART) {
            int count = width - left < PART ? width - left : PART;
            const float *now = room + (y + straight) * stride + straight + left;
            float total[PART] = {0}, weight[PART] = {0};
            for (int k = 0; k < 4; k++) {
                long by = directions[k][0] * stride + directions[k][1];
                int reach = directions[k][0] && directions[k][1] ? slanting : straight;
                float alive[PART], sum[PART] = {0}, pairs[PART] = {0}, steps[PART] = {0};
                for (int x = 0; x < count; x++) alive[x] = 1;
                for (int d = 1; d <= reach; d++) {
                    step_out(now, now - d * by, now + d * by, count, limit, alive, sum, pairs, steps);
                    if (d % LOOK == 0) {
                        float any = 0;
                        for (int x = 0; x < count; x++) any += alive[x];
                        if (any == 0) break;
                    }
                }
                for (int x = 0; x < count; x++) {
                    float share = pairs[x] >= (float)fewest ? steps[x] / (2 * pairs[x]) : 0.0f;
                    total[x] += share * (sum[x] / (2 * pairs[x] + 1));
                    weight[x] += share;
                }
            }
            float *to = out + (long)y * width + left;
            for (int x = 0; x < count; x++) to[x] = weight[x] > 0 ? total[x] / weight[x] : 0.0f;
        }
    free(room);
    return 0;
}
