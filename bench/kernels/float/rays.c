/* Single precision with branches: rays that meet spheres, shaded. */
#include <math.h>

#include "bench.h"

enum { WIDTH = 1000, HEIGHT = 800, SPHERES = 16 };

struct vec {
    float x, y, z;
};

static struct sphere {
    struct vec centre;
    float square;
} spheres[SPHERES];

static float dot(struct vec a, struct vec b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

static struct vec minus(struct vec a, struct vec b)
{
    return (struct vec){a.x - b.x, a.y - b.y, a.z - b.z};
}

/* The point start + by * along. */
static struct vec go(struct vec start, struct vec along, float by)
{
    return (struct vec){start.x + along.x * by, start.y + along.y * by, start.z + along.z * by};
}

static struct vec unit(struct vec a)
{
    float by = 1.0f / sqrtf(dot(a, a));

    return (struct vec){a.x * by, a.y * by, a.z * by};
}

static int first_hit(struct vec start, struct vec along, float *distance)
{
    int found = -1;

    *distance = 1e9f;
    for (int i = 0; i < SPHERES; i++) {
        struct vec to = minus(spheres[i].centre, start);
        float b = dot(to, along), d = b * b - dot(to, to) + spheres[i].square;

        if (d < 0.0f)
            continue;
        b -= sqrtf(d);
        if (b > 0.001f && b < *distance) {
            *distance = b;
            found = i;
        }
    }
    return found;
}

static float trace(struct vec start, struct vec along, int depth)
{
    const struct vec light = {0.6f, 0.64f, -0.48f};
    struct vec at, normal;
    float distance, shade;
    int i = first_hit(start, along, &distance);

    if (i < 0)
        return 0.2f + 0.2f * along.y;
    at = go(start, along, distance);
    normal = unit(minus(at, spheres[i].centre));
    shade = dot(normal, light);
    if (shade < 0.0f || first_hit(at, light, &distance) >= 0)
        shade = 0.05f;
    if (depth > 0)
        shade = shade * 0.6f +
                0.4f * trace(at, go(along, normal, -2.0f * dot(along, normal)), depth - 1);
    return shade;
}

int main(void)
{
    uint64_t random = 67, sum = 0;

    for (int i = 0; i < SPHERES; i++) {
        uint64_t r = bench_random(&random);

        spheres[i].centre =
            (struct vec){(float)(r & 255) / 32.0f - 4.0f, (float)(r >> 8 & 255) / 42.0f - 3.0f,
                         6.0f + (float)(r >> 16 & 255) / 50.0f};
        spheres[i].square = 0.3f + (float)(r >> 24 & 255) / 256.0f;
    }
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            struct vec along = unit((struct vec){(float)(x - WIDTH / 2) / (float)WIDTH,
                                                 (float)(HEIGHT / 2 - y) / (float)WIDTH, 1.0f});

            sum = bench_mix(sum, bench_bits((double)trace((struct vec){0, 0, 0}, along, 3)));
        }
    return bench_done("rays", sum);
}
