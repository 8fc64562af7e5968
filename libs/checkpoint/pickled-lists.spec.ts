import { expect, test } from 'vitest';
import { CheckpointError } from './checkpoint-error.js';
import { readPickledLists } from './pickled-lists.js';

const base64 = (text: string) => new Uint8Array(Buffer.from(text, 'base64'));
const latin1 = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));

// pickle.dumps([[1, 5, 300, 2], [1, 70000, 2], []], protocol)
const protocol4 = base64('gASVIQAAAAAAAABdlChdlChLAUsFTSwBSwJlXZQoSwFKcBEBAEsCZV2UZS4=');
const protocol2 = base64('gAJdcQAoXXEBKEsBSwVNLAFLAmVdcQIoSwFKcBEBAEsCZV1xA2Uu');

test.each([
  ['4', protocol4],
  ['2', protocol2],
])('token ids pickled with protocol %s come out as they went in', (_protocol, bytes) => {
  expect(readPickledLists(bytes)).toEqual([[1, 5, 300, 2], [1, 70000, 2], []]);
});

test.each([
  ['words instead of ids', base64('gASVDgAAAAAAAABdlF2UKEsBjAFhlGVhLg=='), 'a string in list 0'],
  ['a dict', base64('gASVCwAAAAAAAABdlH2USwFLAnNhLg=='), 'a dict in place 0'],
  ['a negative number', latin1('\x80\x02]]J\xff\xff\xff\xffaa.'), '-1 in list 0'],
  ['a fraction', latin1('\x80\x02]]G?\xf8\0\0\0\0\0\0aa.'), 'a float in list 0'],
  ['None', latin1('\x80\x02]]Naa.'), 'None in list 0'],
  ['a call', latin1('\x80\x02cos\nsystem\nX\x01\0\0\0a\x85R.'), 'asks for os.system, refused'],
  ['a harmless class', latin1('\x80\x02ccollections\nOrderedDict\n)R.'), 'asks for collections.OrderedDict, refused'],
  ['a second pickle', latin1('\x80\x02].\x80\x02].'), '4 bytes after its end'],
  ['a cut file', protocol4.subarray(0, 20), 'claims a frame'],
])('%s: refused', (_what, bytes, message) => {
  expect(() => readPickledLists(bytes)).toThrow(CheckpointError);
  expect(() => readPickledLists(bytes)).toThrow(message);
});
