// A multipart/form-data body that reads its files while it is sent, so that no file is held in memory.
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { basename } from 'node:path';

export interface FormParts {
  fields: Record<string, string | number | boolean | undefined>;
  /** Part name to path. */
  files: Record<string, string | undefined>;
}

/** The body as a stream, and the content type that names its boundary. */
export function formBody({ fields, files }: FormParts): { body: ReadableStream; contentType: string } {
  const boundary = `semdistill-${randomUUID()}`;
  async function* pieces(): AsyncGenerator<Uint8Array> {
    const head = (disposition: string, type = '') =>
      Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; ${disposition}\r\n${type}\r\n`);
    for (const [name, value] of Object.entries(fields)) {
      if (value === undefined) continue;
      yield head(`name="${name}"`);
      yield Buffer.from(`${value}\r\n`);
    }
    for (const [name, path] of Object.entries(files)) {
      if (path === undefined) continue;
      const fileName = basename(path).replace(/["\r\n]/g, '_');
      yield head(`name="${name}"; filename="${fileName}"`, 'Content-Type: application/octet-stream\r\n');
      yield* createReadStream(path);
      yield Buffer.from('\r\n');
    }
    yield Buffer.from(`--${boundary}--\r\n`);
  }
  const iterator = pieces();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await iterator.next();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        controller.error(error);
      }
    },
    async cancel() {
      await iterator.return(undefined);
    },
  });
  return { body, contentType: `multipart/form-data; boundary=${boundary}` };
}
