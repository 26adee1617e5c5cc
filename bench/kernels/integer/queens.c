/* Recursion that goes back a lot: all ways to put queens on a board. */
#include "bench.h"

enum { SIZE = 12 };

static int column[SIZE];

static int free_at(int row, int col)
{
    for (int r = 0; r < row; r++) {
        int d = column[r] - col;

        if (d == 0 || d == row - r || d == r - row)
            return 0;
    }
    return 1;
}

static uint64_t place(int row)
{
    uint64_t sum = 0;

    if (row == SIZE)
        return 1 + (uint64_t)column[3];
    for (int col = 0; col < SIZE; col++)
        if (free_at(row, col)) {
            column[row] = col;
            sum += place(row + 1);
        }
    return sum;
}

int main(void)
{
    return bench_done("queens", place(0));
}
