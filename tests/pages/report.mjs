// Checks a report in headless Chromium: no request leaves the page, no message on the console, nothing wider than the
// screen, no serious fault that axe finds, Lighthouse's accessibility 100, A4 pages that bear the report's id.
// In: REPORT.html [FOLDER]; CHROMIUM is the browser. Out: a line a check, pictures in FOLDER, exit code 1 with a fault.
import { createServer } from 'node:http';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import lighthouse from 'lighthouse';
import puppeteer from 'puppeteer-core';

const BYTES_MAX = Number(process.env.BYTES_MAX ?? 5 * 1024 * 1024);
const WIDTHS = [320, 768, 1440];
const [file, folder] = process.argv.slice(2);
if (!file) {
  console.error('usage: node report.mjs REPORT.html [FOLDER]');
  process.exit(2);
}
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const url = pathToFileURL(resolve(file)).href;
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
let faults = 0;
const check = (name, found) => {
  console.log(`${found.length === 0 ? 'ok  ' : 'FAIL'} ${name}${found.map((one) => `\n       ${one}`).join('')}`);
  faults += found.length;
};

// The page as it is opened from a disk.
const open = async (scheme, width) => {
  const page = await browser.newPage();
  const heard = [];
  page.on('console', (message) => heard.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => heard.push(`error: ${error.message}`));
  page.on('request', (request) => request.url() === url || heard.push(`request: ${request.url()}`));
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  await page.setViewport({ width, height: 900 });
  await page.goto(url, { waitUntil: 'networkidle0' });
  return { page, heard };
};

const bytes = statSync(file).size;
check(`${bytes} bytes`, bytes > BYTES_MAX ? [`more than ${BYTES_MAX}`] : []);
for (const scheme of ['light', 'dark']) {
  for (const width of WIDTHS) {
    const { page, heard } = await open(scheme, width);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    check(`${scheme} ${width}: quiet, and no wider than the screen`, wide > width ? [...heard, `${wide} wide`] : heard);
    if (folder) {
      await page.screenshot({ path: join(folder, `report-${width}-${scheme}.png`) });
    }
    // The page's policy forbids scripts, so axe runs past it, in the page as it stands.
    await page.setBypassCSP(true);
    await page.reload();
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => window.axe.run());
    const grave = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
    const said = grave.map(({ id, nodes }) => `${id}: ${nodes.length}, the first ${nodes[0].html.slice(0, 160)}`);
    check(`${scheme} ${width}: axe`, said);
    await page.close();
  }
}

const { page } = await open('light', 1440);
const pdf = Buffer.from(await page.pdf({ preferCSSPageSize: true }));
const box = /\/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]/.exec(pdf.toString('latin1'));
const isA4 = box && Math.abs(box[1] - 595) < 2 && Math.abs(box[2] - 842) < 2;
check('prints on A4', isA4 ? [] : [`MediaBox ${box?.slice(1)}`]);
if (folder) {
  writeFileSync(join(folder, 'report.pdf'), pdf);
}
await page.close();

// Lighthouse wants a server.
const server = createServer((request, response) => {
  response.writeHead(request.url === '/' ? 200 : 404, { 'content-type': 'text/html; charset=utf-8' });
  response.end(request.url === '/' ? readFileSync(file) : '');
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const port = Number(new URL(browser.wsEndpoint()).port);
const told = await lighthouse(`http://127.0.0.1:${server.address().port}/`, {
  port,
  onlyCategories: ['accessibility'],
  logLevel: 'error',
});
const { score, auditRefs } = told.lhr.categories.accessibility;
const low = auditRefs.map(({ id }) => told.lhr.audits[id]).filter((audit) => audit.score !== null && audit.score < 1);
check(`Lighthouse accessibility ${Math.round(score * 100)}`, score < 1 ? low.map(({ id }) => id) : []);
server.close();
await browser.close();
process.exit(faults === 0 ? 0 : 1);
