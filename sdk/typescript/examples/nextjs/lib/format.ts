const BRIEF = { notation: "compact", minimumSignificantDigits: 3, maximumSignificantDigits: 4 } as const;
const DOLLARS = { style: "currency", currency: "USD" } as const;

/** From here on numbers are brief: 5.812T. */
const LARGE = 1e6;

const LARGE_DOLLARS = new Intl.NumberFormat("en-US", { ...DOLLARS, ...BRIEF });
const SMALL_DOLLARS = new Intl.NumberFormat("en-US", DOLLARS);
const LARGE_NUMBER = new Intl.NumberFormat("en-US", BRIEF);
const SMALL_NUMBER = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });
const PERCENT = new Intl.NumberFormat("en-US", {
  style: "percent",
  minimumFractionDigits: 2,
  maximumFractionDigits: 4,
});

/** A value with its unit, as a person reads it: $5.812T, 4.25%, 14.28 index. */
export function amountOf(value: number, unit: string): string {
  const isLarge = Math.abs(value) >= LARGE;
  if (unit === "USD") {
    return (isLarge ? LARGE_DOLLARS : SMALL_DOLLARS).format(value);
  }
  return unit === "ratio" ? PERCENT.format(value) : `${(isLarge ? LARGE_NUMBER : SMALL_NUMBER).format(value)} ${unit}`;
}

/** A value as it is known now, of which something was known before: null where it was withdrawn. */
export function nowOf(value: number | null, unit: string): string {
  return value === null ? "withdrawn" : amountOf(value, unit);
}

/** A difference of two values, with its sign. */
export function changeOf(change: number, unit: string): string {
  return `${change > 0 ? "+" : change < 0 ? "−" : ""}${amountOf(Math.abs(change), unit)}`;
}

/** The day of an instant, UTC. */
export function dayOf(instant: string | Date): string {
  return new Date(instant).toISOString().slice(0, 10);
}

/** An instant to the minute, UTC; midnight as the day alone. */
export function instantOf(instant: string): string {
  const text = new Date(instant).toISOString();
  return text.slice(11, 16) === "00:00" ? text.slice(0, 10) : `${text.slice(0, 10)} ${text.slice(11, 16)}`;
}
