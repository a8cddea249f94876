/** Bytes. */

/** The same bytes as something that reads and writes several of them at a time. */
export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
