// Uses the playground as people do, in a browser: node playground.mjs PLAYWRIGHT BROWSER ADDRESS PICTURES
// Prints a line for each thing that works; the exit code is 1 at the first that does not.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [playwright, executablePath, address, pictures] = process.argv.slice(2);
const { chromium } = await import(pathToFileURL(`${playwright}/index.mjs`));
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"],
});
const errors = [];

async function blank(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(60_000); // a machine that runs other tests too is slow
  return context.newPage();
}

async function opened(options = {}, hash = "") {
  const page = await blank(options);
  page.on("pageerror", (error) => errors.push(String(error)));
  await page.goto(`${address}/index.html${hash}`);
  await ended(page);
  return page;
}

const statusOf = (page) => page.textContent("#status");

async function ended(page) {
  await page.waitForFunction(() =>
    /^(Done|Trap|Exit code|A limit|Something|Stopped)/.test(document.getElementById("status").textContent),
  );
}

/** Choose an example, and wait until it has run. A short run is over before the page is next polled: an observer sees it. */
async function example(page, title) {
  await page.evaluate(() => {
    const status = document.getElementById("status");
    window.started = false;
    new MutationObserver((_, observer) => {
      if (/^Running/.test(status.textContent)) {
        window.started = true;
        observer.disconnect();
      }
    }).observe(status, { childList: true });
  });
  await page.selectOption("#example", { label: title });
  await page.waitForFunction(() => window.started);
  await ended(page);
  return `${await statusOf(page)}\n${await page.textContent("#results")}`;
}

const EXPECTED = {
  "A parallel loop, on a time line": [/squares: correct/, /SEQUENTIAL/, /iteration 999,/],
  "A lost update: all schedules, races": [/\[0\]=1/, /\[0\]=2/, /race between a and b/, /replay:/],
  "A wake-up that comes too early": [/deadlock/],
  "Store buffering: what the memory model allows": [/r0=0 r1=0/, /relaxed only/, /no interleaving shows/],
  "A trap, and where it was": [/^Trap/, /out of bounds memory access/, /func\[0\] \$element 4:6/],
  "A type error": [/^Exit code 1/, /3:6: type mismatch/],
  "A script of assertions": [/1 failed/, /integer overflow/],
  "The Python that a function is compiled to": [/def /, /local\.get \$?n|local\.get 0/],
  "A picture by a C program": [/^Done/, /mandelbrot: correct/, /▀/],
};

const checks = {
  async "each example gives what it should"() {
    const page = await opened();
    for (const [title, patterns] of Object.entries(EXPECTED)) {
      const text = await example(page, title);
      for (const pattern of patterns) {
        assert.match(text, pattern, title);
      }
    }
    await example(page, "A picture by a C program");
    assert.ok(await page.locator("#output span[style*=rgb]").count() > 100, "the picture has colours");
    assert.doesNotMatch(await page.textContent("#output"), /\[38/);
    const titles = await page.locator("#example option").allTextContents();
    assert.deepEqual(new Set(titles), new Set([...Object.keys(EXPECTED), "A loop without end, for the button Stop"]));
  },

  async "errors and traps are marked at their places"() {
    const page = await opened();
    await example(page, "A trap, and where it was");
    assert.equal(await page.textContent("#marks .here"), "i32.load");
    assert.equal(await page.textContent("#marks .called"), "call");
    await page.selectOption("#action", "run");
    await page.fill("#source", "(module\n  (func (resul i32)))");
    await page.press("#source", "Control+Enter");
    await page.waitForFunction(() => document.querySelector("#marks .here"));
    assert.equal(await page.textContent("#marks .here"), "resul");
    assert.match(await page.textContent("#about"), /Line 2, column 10: .*did you mean result/);
    await page.locator("#source").pressSequentially(" ");
    assert.equal(await page.locator("#marks .here").count(), 0, "marks go when the text changes");
  },

  async "an endless loop is stopped, and the page goes on"() {
    const page = await opened();
    await page.selectOption("#example", { label: "A loop without end, for the button Stop" });
    await page.waitForFunction(() => /Running… [1-9]/.test(document.getElementById("status").textContent));
    await page.fill("#args", "wait 7"); // the page is alive
    await page.click("#stop");
    assert.equal(await statusOf(page), "Stopped.");
    assert.match(await example(page, "A type error"), /type mismatch/);
  },

  async "long explorations show how far they are"() {
    const page = await opened();
    const store = (n) => `(i32.store (i32.const ${4 * n}) (i32.const 1))(drop (i32.load (i32.const 0)))`;
    const body = [0, 0, 0, 0].map(store).join("");
    const funcs = ["a", "b", "c"].map((name) => `(func (export "${name}") ${body})`).join("\n");
    await page.selectOption("#action", "explore");
    await page.fill("#source", `(module (memory 1 1 shared)\n${funcs})`);
    await page.click("#start");
    await page.waitForFunction(() => /Running… .*executions/.test(document.getElementById("status").textContent));
    await page.keyboard.press("Escape");
    assert.equal(await statusOf(page), "Stopped.");
  },

  async "a link reproduces program, choices and result"() {
    const page = await opened();
    await example(page, "A trap, and where it was");
    await page.fill("#args", "sum 16383 16385");
    await page.click("#share");
    await page.waitForFunction(() => location.hash.length > 20);
    const other = await opened({}, await page.evaluate(() => location.hash));
    assert.equal(await other.inputValue("#args"), "sum 16383 16385");
    assert.equal(await other.inputValue("#source"), await page.inputValue("#source"));
    assert.match(await statusOf(other), /^Trap/);
    const damaged = await opened({}, "#damaged");
    assert.match(await damaged.textContent("#results"), /The link is damaged/);
  },

  async "a module is dropped, and shown as text"() {
    const page = await opened();
    const wasm = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7f, 3, 2, 1, 0, 7, 5, 1, 1, 0x66, 0, 0, 10, 6, 1, 4,
      0, 0x41, 42, 0x0b];
    await page.setInputFiles("#file", { name: "answer.wasm", mimeType: "application/wasm", buffer: Buffer.from(wasm) });
    await page.waitForFunction(() => /i32\.const 42/.test(document.getElementById("source").value));
    await page.selectOption("#action", "invoke");
    await page.fill("#args", "f");
    await page.click("#start");
    await ended(page);
    assert.match(await page.textContent("#report"), /Results.*42/s);
  },

  async "the keyboard is enough"() {
    const page = await opened();
    await page.focus("#example");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.id), "source");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("(module (func (export \"_start\") unreachable)) ;; ");
    const order = [];
    for (let n = 0; n < 8; n += 1) {
      await page.keyboard.press("Tab");
      order.push(await page.evaluate(() => document.activeElement.id));
    }
    assert.deepEqual(order.slice(0, 5), ["action", "args", "races", "policy", "start"]);
    await page.focus("#start");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => /^Trap/.test(document.getElementById("status").textContent));
  },

  async "a phone is wide enough"() {
    const phone = { viewport: { width: 390, height: 800 }, isMobile: true, hasTouch: true };
    for (const colorScheme of ["light", "dark"]) {
      const page = await opened({ ...phone, colorScheme });
      await example(page, "A lost update: all schedules, races");
      const [inner, width] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(inner <= width, `${inner} pixels on a screen of ${width}`);
      writeFileSync(`${pictures}/phone-${colorScheme}.png`, await page.screenshot());
    }
  },

  async "nothing comes from elsewhere"() {
    const page = await blank();
    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    await page.goto(`${address}/index.html`);
    await ended(page);
    assert.ok(asked.length > 5);
    assert.deepEqual(asked.filter((url) => !url.startsWith(address) && !url.startsWith("data:")), []);
  },

  async "the first result is there in time"() {
    const page = await blank();
    const times = [];
    for (let n = 0; n < 3; n += 1) {
      const start = Date.now();
      await page.goto(`${address}/index.html`);
      await ended(page);
      times.push(Date.now() - start);
    }
    console.log(`   ${times.join(", ")} ms from load to first result`);
  },
};

let code = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    assert.deepEqual(errors, []);
    console.log(`ok ${name}`);
  } catch (error) {
    console.log(`not ok ${name}: ${error.stack}`);
    code = 1;
  }
  await Promise.all(browser.contexts().map((context) => context.close()));
}
await browser.close();
process.exit(code);
