// A shop's server with the page of clients/js, and a person who opens it, chooses files and looks until all are shown.
//
//     node page.mjs FOLDER_OF_NODE_MODULES SCREENSHOT FILE...
//
// Prints what the page showed as JSON.  Exits with 3 where there is no browser; what it prints then says what to do.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";

import { clientCredentials } from "../../clients/js/catalog-images.js";

const NO_BROWSER = 3;
const SECONDS = 240; // a laptop that runs all other tests at once needs half of it
const INSTALLED = [
  "/usr/bin/chromium",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];
const { API, TOKEN_URL, CLIENT_ID, CLIENT_SECRET, CHROME } = process.env;
const [modules, screenshot, ...files] = process.argv.slice(2);
const require = createRequire(modules + "/");

async function serve() {
  const token = clientCredentials({ tokenUrl: TOKEN_URL, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET });
  const sent = (name, type) => async () => [type, await readFile(new URL(`../../clients/js/${name}`, import.meta.url))];
  const answers = {
    "/": sent("example.html", "text/html"),
    "/catalog-images.js": sent("catalog-images.js", "text/javascript"),
    "/strict": () => ["text/html", "", { "content-security-policy": "worker-src 'none'" }],
    "/session": async () => ["application/json", JSON.stringify({ api: API, ...(await token()) })],
  };
  const server = createServer(async (request, response) => {
    const [type, body, headers] = await (answers[request.url] ?? (() => ["text/plain", ""]))();
    response.writeHead(200, { "content-type": type, ...headers }).end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** An installed browser, else that of the package, whose binary is for x86-64 Linux. */
async function startBrowser() {
  const packaged = require("@sparticuz/chromium");
  const executablePath = CHROME ?? INSTALLED.find(existsSync) ?? (await packaged.executablePath());
  try {
    return await require("playwright-core").chromium.launch({ executablePath, args: ["--no-sandbox"] });
  } catch (error) {
    console.log(`install Chrome or Chromium, or name one in CHROME (${error.message.split("\n")[0]})`);
    process.exit(NO_BROWSER);
  }
}

const browser = await startBrowser();
const server = await serve();
const address = `http://127.0.0.1:${server.address().port}`;
const page = await browser.newPage();
const complaints = [];
let workers = 0;
// What failed to load is tried again, or is not shown in the end.
const isToCount = (message) => message.type() === "error" && !message.text().startsWith("Failed to load");
page.on("console", (message) => isToCount(message) && complaints.push(message.text()));
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("worker", () => workers++);
try {
  await page.goto(address);
  await page.setInputFiles("input:enabled", files);
  const areShown = (count) => [...document.images].filter((image) => image.naturalWidth).length === count;
  await page
    .waitForFunction(areShown, files.length, { timeout: SECONDS * 1000 })
    .catch((error) => complaints.push(error.message));
  const shown = await page.$$eval("img", (images) =>
    images.map(({ alt, currentSrc, srcset, naturalWidth }) => ({ alt, currentSrc, srcset, naturalWidth })),
  );
  await page.screenshot({ path: screenshot });
  const strict = await browser.newPage();
  await strict.goto(`${address}/strict`);
  const hash = await strict.evaluate(async () => (await import("/catalog-images.js")).sha256(new Blob(["abc"])));
  console.log(JSON.stringify({ complaints, shown, workers, hashWithoutWorker: hash }));
} finally {
  await browser.close();
  server.close();
  server.closeAllConnections();
}
