/** From a domain to pixels, straight. */
export type Scale = (value: number) => number;

/** The scale from [low, high] to [start, end]; a domain of one value lies in the middle. */
export function scaleOf([low, high]: readonly [number, number], [start, end]: readonly [number, number]): Scale {
  return high === low ? () => (start + end) / 2 : (value) => start + ((value - low) / (high - low)) * (end - start);
}

/** Round numbers within [low, high], about `count` of them. */
export function ticksOf([low, high]: readonly [number, number], count: number): number[] {
  const rough = (high - low || 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, index) => (first + index) * step);
}

/** Firsts of January, April, July and October, UTC, within [low, high] in milliseconds since 1970. */
export function quartersOf([low, high]: readonly [number, number]): number[] {
  const start = new Date(low);
  const firsts: number[] = [];
  for (let month = Math.ceil((start.getUTCMonth() + 1) / 3) * 3; ; month += 3) {
    const first = Date.UTC(start.getUTCFullYear(), month, 1);
    if (first > high) {
      return firsts;
    }
    firsts.push(first);
  }
}

/** The least and the greatest, with a margin of a part of their distance. */
export function extentOf(values: readonly number[], margin = 0): [number, number] {
  const low = values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const high = values.reduce((greatest, value) => Math.max(greatest, value), Number.NEGATIVE_INFINITY);
  return [low - (high - low) * margin, high + (high - low) * margin];
}
