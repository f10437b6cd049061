// sharp, asked by lines of JSON: {"source": path, "into": folder} is answered by {"cpu", "wall"} in seconds.
// The work is that of benchmarks/_engines.py: three renditions by one decode and a cascade.
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import sharp from 'sharp';

sharp.concurrency(1);
sharp.cache(false);

const [presets, options] = process.argv.slice(2).map((argument) => JSON.parse(argument));

async function render(original) {
  const renditions = {};
  let master = sharp(original).autoOrient();
  for (const { name, side } of presets) {
    const { data, info } = await master
      .resize(side, side, { fit: 'inside', withoutEnlargement: true })
      .raw()
      .toBuffer({ resolveWithObject: true });
    const raw = { width: info.width, height: info.height, channels: info.channels };
    renditions[name] = await sharp(data, { raw })
      .jpeg({
        quality: options.quality,
        optimiseCoding: true,
        progressive: info.width * info.height >= options.progressive_from,
      })
      .toBuffer();
    master = sharp(data, { raw });
  }
  return renditions;
}

const versions = `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}`;
process.stdout.write(`${JSON.stringify({ engine: versions })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  const { source, into } = JSON.parse(line);
  const cpuBefore = process.cpuUsage();
  const began = performance.now();
  const renditions = await render(readFileSync(source));
  const wall = (performance.now() - began) / 1e3;
  const { user, system } = process.cpuUsage(cpuBefore);
  for (const [name, data] of Object.entries(renditions)) writeFileSync(`${into}/${name}.jpg`, data);
  process.stdout.write(`${JSON.stringify({ cpu: (user + system) / 1e6, wall })}\n`);
}
