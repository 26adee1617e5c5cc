/* Planets that attract each other: double multiply, add, divide, square root. */
#include <math.h>

#include "bench.h"

enum { BODIES = 5, STEPS = 2000000 };

static struct body {
    double x, y, z, vx, vy, vz, mass;
} body[BODIES];

static void advance(double dt)
{
    for (int i = 0; i < BODIES; i++) {
        struct body *a = &body[i];

        for (int j = i + 1; j < BODIES; j++) {
            struct body *b = &body[j];
            double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
            double square = dx * dx + dy * dy + dz * dz;
            double pull = dt / (square * sqrt(square));

            a->vx -= dx * b->mass * pull;
            a->vy -= dy * b->mass * pull;
            a->vz -= dz * b->mass * pull;
            b->vx += dx * a->mass * pull;
            b->vy += dy * a->mass * pull;
            b->vz += dz * a->mass * pull;
        }
    }
    for (int i = 0; i < BODIES; i++) {
        body[i].x += dt * body[i].vx;
        body[i].y += dt * body[i].vy;
        body[i].z += dt * body[i].vz;
    }
}

int main(void)
{
    uint64_t sum = 0;

    for (int i = 0; i < BODIES; i++)
        body[i] = (struct body){.x = 4.0 * i,
                                .y = 1.0 + i * i,
                                .z = -0.3 * i,
                                .vx = 0.2 * (i - 2),
                                .vy = 0.5 - 0.1 * i,
                                .vz = 0.01 * i,
                                .mass = i ? 0.01 / i : 39.0};
    for (int i = 0; i < STEPS; i++)
        advance(0.001);
    for (int i = 0; i < BODIES; i++)
        sum = bench_mix(sum, bench_bits(body[i].x + body[i].y + body[i].z));
    return bench_done("nbody", sum);
}
