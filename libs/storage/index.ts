// The record: one interface, two stores (directory, S3), one place for keys. The only code that knows minio.
export * from './keys.js';
export * from './object-store.js';
