// Numbers as the command prints them.

/** Six significant digits, without an exponent if that is readable. */
export function short(x: number): string {
  const magnitude = Math.abs(x);
  if (x === 0 || !Number.isFinite(x)) return String(x);
  if (magnitude < 1e-4 || magnitude >= 1e9) return x.toExponential(5).replace("e+", "e");
  return x.toFixed(Math.max(5 - Math.floor(Math.log10(magnitude)), 0));
}

/** Three significant digits, for labels in a picture. */
export function brief(x: number): string {
  if (x === 0 || !Number.isFinite(x)) return String(x);
  const magnitude = Math.abs(x);
  if (magnitude < 1e-3 || magnitude >= 1e6) return x.toExponential(1).replace("e+", "e");
  return x.toFixed(Math.max(2 - Math.floor(Math.log10(magnitude)), 0)).replace("-", "−");
}

/** The same without zeros at the end, for numbers beside an axis. */
export function tick(x: number): string {
  return brief(x).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}

/** A power of two: 2¹⁰. */
export function powerOfTwo(exponent: number): string {
  return `2${String(exponent).replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]!)}`;
}

/** A number of bytes in powers of two: 4 KiB, 256 MiB. */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let at = 0;
  let size = count;
  while (size >= 1024 && at < units.length - 1) {
    size /= 1024;
    at += 1;
  }
  return `${Number.isInteger(size) ? size : size.toPrecision(3)} ${units[at]}`;
}
