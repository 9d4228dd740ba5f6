/* The Mandelbrot set as a picture in the terminal, or as an image. Usage: mandelbrot [width [height [ppm]]]
 * With a third argument the image goes to standard output in PPM format: mandelbrot 96 64 ppm > mandelbrot.ppm */
#include "example.h"

struct view { uint32_t width, height, limit; };

static const unsigned char kernel[] = {
#embed "mandelbrot_kernel.wasm"
};

static void color(uint8_t n, uint32_t limit, uint8_t rgb[3]) {
    uint32_t t = n >= limit ? 0 : 255u * n / limit;
    rgb[0] = (uint8_t)(t * 2 > 255 ? 255 : t * 2);
    rgb[1] = (uint8_t)(t * t / 255);
    rgb[2] = (uint8_t)(n >= limit ? 0 : 80 + t * 175 / 255);
}

static void write_image(const uint8_t *steps, struct view view) {
    printf("P6\n%u %u\n255\n", view.width, view.height);
    for (uint32_t i = 0; i < view.width * view.height; i++) {
        uint8_t rgb[3];
        color(steps[i], view.limit, rgb);
        fwrite(rgb, 1, 3, stdout);
    }
}

/* Two pixels for each character: the upper half block has the upper one's color, its background the lower one's. */
static void show(const uint8_t *steps, struct view view) {
    for (uint32_t y = 0; y + 1 < view.height; y += 2) {
        for (uint32_t x = 0; x < view.width; x++) {
            uint8_t top[3], low[3];
            color(steps[y * view.width + x], view.limit, top);
            color(steps[(y + 1) * view.width + x], view.limit, low);
            printf("\033[38;2;%d;%d;%d;48;2;%d;%d;%dm\u2580", top[0], top[1], top[2], low[0], low[1], low[2]);
        }
        printf("\033[0m\n");
    }
}

/* Points whose fate is known: in the main cardioid, in the circle left of it, and outside. */
static int check(const uint8_t *steps, struct view view) {
    int inside = 0, outside = 0, correct = 1;
    for (uint32_t y = 0; y < view.height; y++)
        for (uint32_t x = 0; x < view.width; x++) {
            double cr = 3.2 * (x + 0.5) / view.width - 2.2, ci = 2.4 * (y + 0.5) / view.height - 1.2;
            uint8_t n = steps[y * view.width + x];
            if ((cr + 1) * (cr + 1) + ci * ci < 0.06) inside++, correct &= n == view.limit;
            if (cr * cr + ci * ci > 4) outside++, correct &= n >= 1 && n <= 2;
        }
    return correct && inside && outside;
}

int main(int argc, char **argv) {
    struct view view = {argument(argc, argv, 1, 72), argument(argc, argv, 2, 48), 40};
    uint8_t *steps = malloc(view.width * view.height);
    par_device device;
    CHECK(par_get_device(PAR_CPU, &device));
    par_buffer in = buffer_of(device, PAR_READ, &view, sizeof view);
    par_buffer out = buffer_of(device, PAR_WRITE, NULL, view.width * view.height);
    double start = now();
    CHECK(par_exec(device, kernel, sizeof kernel, view.height, 1, &in, 1, &out, 1));
    CHECK(par_read_buffer(out, steps, view.width * view.height));
    double seconds = now() - start;
    if (argc > 3) write_image(steps, view);
    else show(steps, view);
    return report(argc > 3 ? stderr : stdout, "mandelbrot", check(steps, view), seconds, device);
}
