/* One row of the Mandelbrot set for each iteration: how many steps each point stays near. Rows take unequal time. */
#include "wasi_parallel.h"

struct view { uint32_t width, height, limit; };

KERNEL(uint32_t row, uint32_t iterations, uint32_t block_size, const struct view *view, uint32_t view_size,
       uint8_t *steps, uint32_t steps_size) {
    double ci = 2.4 * (row + 0.5) / view->height - 1.2;
    for (uint32_t column = 0; column < view->width; column++) {
        double cr = 3.2 * (column + 0.5) / view->width - 2.2, zr = 0, zi = 0;
        uint32_t n = 0;
        while (n < view->limit && zr * zr + zi * zi <= 4) {
            double next = zr * zr - zi * zi + cr;
            zi = 2 * zr * zi + ci;
            zr = next;
            n++;
        }
        steps[row * view->width + column] = (uint8_t)n;
    }
}
