import { expect, it } from 'vitest';
import { contentDisposition } from './content-disposition.js';

it('names a download in ASCII, and in UTF-8 where that loses something', () => {
  expect(contentDisposition('final_student_model.safetensors')).toBe(
    'attachment; filename="final_student_model.safetensors"',
  );
  expect(contentDisposition('模型 1.bin')).toBe(
    `attachment; filename="__ 1.bin"; filename*=UTF-8''%E6%A8%A1%E5%9E%8B%201.bin`,
  );
  expect(contentDisposition('a"\r\nx: y/..\\b')).not.toMatch(/[\r\n\\]|"a"/);
});
