// Exact numbers as text, as `exact` of nnviz3d/scene/facts.py writes them: as many digits as NumPy needs to read back the
// same number, and a minus sign.

const LARGEST_HALF = 65504;
const SMALLEST_PLAIN = 1e-4; // NumPy writes smaller numbers with an exponent.

/** Return the float16 that is nearest to a positive decimal. */
function nearestHalf(decimal) {
  const unit = 2 ** (Math.max(Math.floor(Math.log2(decimal)), -14) - 10);
  const steps = decimal / unit;
  const below = Math.floor(steps);
  const up = steps - below > 0.5 || (steps - below === 0.5 && below % 2 !== 0);
  return (up ? below + 1 : below) * unit;
}

/** Return the float16 that is nearest to a number; null beyond the range of float16. */
export function halfNumber(value) {
  if (value === 0 || !Number.isFinite(value)) return value;
  const size = nearestHalf(Math.abs(value));
  return size > LARGEST_HALF ? null : Math.sign(value) * size;
}

/**
 * Return the shortest decimal that is read as this positive number: its digits, and the exponent of the first one.
 * Of several the nearest is taken, and of two equally near ones that with an even last digit.
 * @param {(decimal: number) => number} nearest Rounds a decimal to the type of the number.
 */
function shortestDecimal(size, nearest) {
  const [all, exponent] = size.toExponential(60).replace(".", "").split("e");
  for (let count = 1; count < 20; count++) {
    const below = BigInt(all.slice(0, count));
    const rest = all.slice(count);
    const half = "5".padEnd(rest.length, "0");
    const upFirst = rest > half || (rest === half && below % 2n === 1n);
    const candidates = upFirst ? [below + 1n, below] : [below, below + 1n];
    const found = candidates.find((digits) => nearest(Number(`${digits}e${exponent - count + 1}`)) === size);
    if (found === undefined) continue;
    const digits = String(found);
    return [digits.replace(/0+$/, ""), Number(exponent) + digits.length - count];
  }
  throw new Error(`${size} is no number of this type.`);
}

/**
 * Write a float32 exactly, as `str` of NumPy does but for the minus sign; NaN and infinite numbers as the descriptions of picks do.
 * @param {number} scientific Number from which on NumPy writes an exponent; it depends on NumPy's version.
 * @param {boolean} half Whether the number is a float16.
 */
export function exactNumber(value, scientific, half = false) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  const sign = value < 0 || Object.is(value, -0) ? "−" : "";
  if (value === 0) return `${sign}0.0`;
  const size = Math.abs(value);
  const [digits, exponent] = shortestDecimal(size, half ? nearestHalf : Math.fround);
  if (size < SMALLEST_PLAIN || size >= scientific) {
    const mantissa = digits.length > 1 ? `${digits[0]}.${digits.slice(1)}` : digits;
    const power = String(Math.abs(exponent)).padStart(2, "0");
    return `${sign}${mantissa}e${exponent < 0 ? "−" : "+"}${power}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${sign}${whole}.${digits.slice(exponent + 1) || "0"}`;
}
