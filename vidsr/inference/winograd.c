/* 3x3 convolutions of a whole network on a CPU, in fp32, by Winograd's minimal filtering F(4x4, 3x3).
 *
 * Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016; interpolation points
 * 0, +-1/sqrt(2), +-sqrt(2), infinity, whose error is smaller than that of the paper's 0, +-1, +-2. One output
 * tile of 4x4 pixels takes 36 multiplications per pair of channels instead of 144.
 *
 * Pictures are NHWC with a border of zeros around them, so that no tile needs a special case: `data` points at
 * pixel (0, 0), `row` pixels further begins the next row, `ld` floats further the next pixel. Per block of tiles:
 * transform the input, 36 matrix products, transform the output, then bias, leaky ReLU and residuals while the
 * values are in registers. A network is an array of layers, run by a few threads with a barrier between layers.
 *
 * Channel counts: `cin` a multiple of LANES, `cout` a multiple of 2*LANES, `stored` a multiple of LANES.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#define ROWS 12
#elif defined(__AVX__)
#define LANES 8
#define ROWS 6
#else
#define LANES 4
#define ROWS 8
#endif

#define FREQUENCIES 36
#define PAD 16 /* floats between frequency planes, so that they do not share cache sets */

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int ivec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

typedef struct {
    float *data;
    long row; /* pixels from one row to the next */
    long ld;  /* floats from one pixel to the next */
} Picture;

typedef struct {
    Picture source;
    Picture target;
    Picture residual[2]; /* added after the activation, times their scale, where data is not NULL */
    const float *weights; /* [36][cout / 2 LANES][cin][2 LANES] */
    const float *bias;    /* [cout] */
    const float *slope;   /* [cout]: factor of negative values; 1 is no activation */
    float scale[2];
    int height, width; /* of the result */
    int cin, cout, stored;
    int doubled; /* read the source as if each of its pixels were 2x2 */
} Layer;

int winograd_lanes(void) { return LANES; }
int winograd_layer_bytes(void) { return (int)sizeof(Layer); }

static inline vec load(const float *p) { return *(const vec *)p; }
static inline void store(float *p, vec v) { *(vec *)p = v; }

/* B^T d for one line of six. */
static inline void input_line(vec *out, vec d0, vec d1, vec d2, vec d3, vec d4, vec d5) {
    const float a = 0.70710678118654752f, b = 1.41421356237309505f;
    vec even_a = d4 - 2.0f * d2, odd_a = a * (d3 - 2.0f * d1);
    vec even_b = d4 - 0.5f * d2, odd_b = b * (d3 - 0.5f * d1);
    out[0] = d0 - 2.5f * d2 + d4;
    out[1] = even_a + odd_a;
    out[2] = even_a - odd_a;
    out[3] = even_b + odd_b;
    out[4] = even_b - odd_b;
    out[5] = d1 - 2.5f * d3 + d5;
}

/* A^T m for one line of six. */
static inline void output_line(vec *out, vec m0, vec m1, vec m2, vec m3, vec m4, vec m5) {
    const float a = 0.70710678118654752f, b = 1.41421356237309505f;
    vec s1 = m1 + m2, q1 = a * (m1 - m2), s2 = m3 + m4, q2 = b * (m3 - m4);
    out[0] = m0 + s1 + s2;
    out[1] = q1 + q2;
    out[2] = 0.5f * s1 + 2.0f * s2;
    out[3] = 0.5f * q1 + 2.0f * q2 + m5;
}

static void transform_input(const Layer *l, int tile, int across, float *v, long plane) {
    int top = tile / across * 4 - 1, left = tile % across * 4 - 1, shift = l->doubled;
    const float *pixel[6][6];
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++)
            pixel[i][j] = l->source.data + (((top + i) >> shift) * l->source.row + ((left + j) >> shift)) * l->source.ld;
    for (int c = 0; c < l->cin; c += LANES) {
        vec half[6][6];
        for (int j = 0; j < 6; j++) {
            vec line[6];
            input_line(line, load(pixel[0][j] + c), load(pixel[1][j] + c), load(pixel[2][j] + c),
                       load(pixel[3][j] + c), load(pixel[4][j] + c), load(pixel[5][j] + c));
            for (int i = 0; i < 6; i++) half[i][j] = line[i];
        }
        for (int i = 0; i < 6; i++) {
            vec line[6];
            input_line(line, half[i][0], half[i][1], half[i][2], half[i][3], half[i][4], half[i][5]);
            for (int j = 0; j < 6; j++) store(v + (i * 6 + j) * plane + c, line[j]);
        }
    }
}

static void transform_output(const Layer *l, int tile, int across, const float *m, long plane) {
    int top = tile / across * 4, left = tile % across * 4;
    int rows = l->height - top < 4 ? l->height - top : 4, columns = l->width - left < 4 ? l->width - left : 4;
    for (int c = 0; c < l->stored; c += LANES) {
        vec half[4][6], bias = load(l->bias + c), slope = load(l->slope + c);
        for (int j = 0; j < 6; j++) {
            vec line[4];
            const float *p = m + j * plane + c;
            output_line(line, load(p), load(p + 6 * plane), load(p + 12 * plane), load(p + 18 * plane),
                        load(p + 24 * plane), load(p + 30 * plane));
            for (int i = 0; i < 4; i++) half[i][j] = line[i];
        }
        for (int i = 0; i < rows; i++) {
            vec line[4];
            output_line(line, half[i][0], half[i][1], half[i][2], half[i][3], half[i][4], half[i][5]);
            for (int j = 0; j < columns; j++) {
                vec y = line[j] + bias;
                ivec positive = y > 0.0f;
                y = (vec)((ivec)y & positive) + slope * (vec)((ivec)y & ~positive);
                for (int r = 0; r < 2; r++)
                    if (l->residual[r].data)
                        y += l->scale[r] * load(l->residual[r].data +
                                                ((top + i) * l->residual[r].row + left + j) * l->residual[r].ld + c);
                store(l->target.data + ((top + i) * l->target.row + left + j) * l->target.ld + c, y);
            }
        }
    }
}

/* ROWS x 2 vectors of m = v u: v is [ROWS][cin], u is [cin][2 LANES]. */
static inline void multiply(const float *v, long cin, const float *u, float *m, long cout) {
    vec sum[ROWS][2];
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; r++) sum[r][0] = sum[r][1] = (vec){0};
    for (long k = 0; k < cin; k++) {
        vec u0 = load(u + 2 * LANES * k), u1 = load(u + 2 * LANES * k + LANES);
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; r++) {
            float x = v[r * cin + k];
            sum[r][0] += x * u0;
            sum[r][1] += x * u1;
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; r++) {
        store(m + r * cout, sum[r][0]);
        store(m + r * cout + LANES, sum[r][1]);
    }
}

static void run_block(const Layer *l, int first, int count, int block, float *scratch) {
    int across = (l->width + 3) / 4;
    long v_plane = (long)block * l->cin + PAD, m_plane = (long)block * l->cout + PAD;
    float *v = scratch, *m = scratch + FREQUENCIES * v_plane;
    for (int t = 0; t < count; t++) transform_input(l, first + t, across, v + (long)t * l->cin, v_plane);
    for (int f = 0; f < FREQUENCIES; f++)
        for (int c = 0; c < l->cout; c += 2 * LANES) {
            const float *u = l->weights + ((long)f * l->cout + c) * l->cin;
            for (int t = 0; t < count; t += ROWS)
                multiply(v + f * v_plane + (long)t * l->cin, l->cin, u, m + f * m_plane + (long)t * l->cout + c, l->cout);
        }
    for (int t = 0; t < count; t++) transform_output(l, first + t, across, m + (long)t * l->cout, m_plane);
}

typedef struct {
    const Layer *layers;
    int count, block;
    long scratch_floats;
    atomic_int *next; /* the next block of each layer */
    pthread_mutex_t gate; /* held until it is known how many threads there are */
    pthread_barrier_t barrier;
    atomic_int failed;
} Work;

static void *run_layers(void *argument) {
    Work *w = argument;
    float *scratch = NULL;
    pthread_mutex_lock(&w->gate);
    pthread_mutex_unlock(&w->gate);
    if (posix_memalign((void **)&scratch, 4096, sizeof(float) * w->scratch_floats)) {
        scratch = NULL;
        atomic_store(&w->failed, 1);
    } else {
        memset(scratch, 0, sizeof(float) * w->scratch_floats);
    }
    pthread_barrier_wait(&w->barrier);
    for (int i = 0; i < w->count && !atomic_load(&w->failed); i++) {
        const Layer *l = &w->layers[i];
        int tiles = ((l->width + 3) / 4) * ((l->height + 3) / 4);
        for (;;) {
            int first = atomic_fetch_add(&w->next[i], w->block);
            if (first >= tiles) break;
            run_block(l, first, tiles - first < w->block ? tiles - first : w->block, w->block, scratch);
        }
        pthread_barrier_wait(&w->barrier);
    }
    free(scratch);
    return NULL;
}

/* Run `count` layers one after the other on `threads` threads; `block` tiles at a time, a multiple of ROWS = 12.
 * 0, or 1 where memory ran out. */
int winograd_run(const Layer *layers, int count, int threads, int block) {
    Work w = {.layers = layers, .count = count, .block = block};
    for (int i = 0; i < count; i++) {
        long floats = FREQUENCIES * ((long)block * (layers[i].cin + layers[i].cout) + 2 * PAD);
        if (floats > w.scratch_floats) w.scratch_floats = floats;
    }
    w.next = calloc(count, sizeof(atomic_int));
    pthread_t *others = calloc(threads, sizeof(pthread_t));
    int made = 0, status = 1;
    if (!w.next || !others) goto end;
    atomic_init(&w.failed, 0);
    pthread_mutex_init(&w.gate, NULL);
    pthread_mutex_lock(&w.gate);
    while (made < threads - 1 && !pthread_create(&others[made], NULL, run_layers, &w)) made++;
    pthread_barrier_init(&w.barrier, NULL, made + 1);
    pthread_mutex_unlock(&w.gate);
    run_layers(&w);
    for (int i = 0; i < made; i++) pthread_join(others[i], NULL);
    pthread_barrier_destroy(&w.barrier);
    pthread_mutex_destroy(&w.gate);
    status = atomic_load(&w.failed);
end:
    free(w.next);
    free(others);
    return status;
}
