// Asks refwasm's oracle about one call: client MODULE.wasm NAME i32:0x7 … = i32:0x2      (or: = trap:divide-by-zero)
//
// The oracle is a process that reads a JSON object a line and answers with one (docs/oracle.md). What stands behind "="
// is what an engine gave; the oracle's verdict is printed, and the exit code is 0 if it agrees.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static FILE *requests, *answers;
static char answer[1 << 20];

// Starts the oracle, with pipes to and from it.
static void start(void) {
  int to[2], from[2];
  if (pipe(to) || pipe(from)) exit(2);
  if (fork() == 0) {
    dup2(to[0], 0), dup2(from[1], 1);
    close(to[1]), close(from[0]);
    execlp("refwasm", "refwasm", "oracle", (char *)0);
    _exit(127);
  }
  close(to[0]), close(from[1]);
  requests = fdopen(to[1], "w"), answers = fdopen(from[0], "r");
}

// Ends a request and reads its answer.
static void ask(void) {
  fputs("}\n", requests), fflush(requests);
  if (!fgets(answer, sizeof answer, answers) || strstr(answer, "\"error\"")) {
    fprintf(stderr, "the oracle said: %s\n", answer);
    exit(2);
  }
}

static void base64(FILE *in) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  unsigned char b[3];
  size_t n;
  while ((n = fread(memset(b, 0, 3), 1, 3, in)) > 0) {
    unsigned v = b[0] << 16 | b[1] << 8 | b[2];
    for (size_t i = 0; i < 4; i++) fputc(i <= n ? digits[v >> (18 - 6 * i) & 63] : '=', requests);
  }
}

// Writes values such as i32:0x7 as JSON; returns what comes behind them.
static char **values(char **arg) {
  fputc('[', requests);
  for (int first = 1; *arg && strcmp(*arg, "="); arg++, first = 0) {
    char *bits = strchr(*arg, ':');
    if (!bits) fprintf(stderr, "%s: expected TYPE:BITS\n", *arg), exit(2);
    fprintf(requests, "%s{\"type\":\"%.*s\",\"bits\":\"%s\"}", first ? "" : ",", (int)(bits - *arg), *arg, bits + 1);
  }
  fputc(']', requests);
  return arg;
}

int main(int argc, char **argv) {
  FILE *module = argc > 3 ? fopen(argv[1], "rb") : 0;
  if (!module) return fprintf(stderr, "usage: client MODULE.wasm NAME ARGS = RESULTS\n"), 2;
  start();
  fputs("{\"op\":\"instantiate\",\"module\":\"", requests), base64(module), fputc('"', requests), ask();
  fprintf(requests, "{\"op\":\"call\",\"case\":1,\"name\":\"%s\",\"args\":", argv[2]);
  char **rest = values(argv + 3);
  ask();
  rest += *rest != 0;
  fputs("{\"op\":\"admits\",\"case\":1,\"outcome\":", requests);
  if (*rest && !strncmp(*rest, "trap:", 5)) fprintf(requests, "{\"kind\":\"trap\",\"trap\":\"%s\"}", *rest + 5);
  else fputs("{\"kind\":\"returned\",\"values\":", requests), values(rest), fputc('}', requests);
  ask();
  printf("%s", answer);
  return !strstr(answer, "\"agrees\"");
}
