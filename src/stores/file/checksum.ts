const polynomial = 0xedb88320;
let table: Int32Array | undefined;

/** The CRC-32 of a stretch of bytes, as zip and Ethernet have it. node:zlib offers it from Node 20.15 on only. */
export function crc32(bytes: Uint8Array, from = 0, to = bytes.length): number {
  table ??= makeTable();
  let crc = -1;
  for (let at = from; at < to; at++) crc = (table[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ -1) >>> 0;
}

function makeTable(): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    return crc;
  });
}
