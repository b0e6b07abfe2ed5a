const COMPACT = { notation: "compact", minimumSignificantDigits: 3, maximumSignificantDigits: 4 } as const;

const DOLLARS = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", ...COMPACT });
const PERCENT = new Intl.NumberFormat("en-US", { style: "percent", minimumFractionDigits: 2, maximumFractionDigits: 2 });
const NUMBER = new Intl.NumberFormat("en-US", COMPACT);

/** A value with its unit, as a person reads it: $5.812T, 4.25%, 14.28 index. */
export function valueOf(value: number, unit: string): string {
  if (unit === "USD") {
    return DOLLARS.format(value);
  }
  return unit === "ratio" ? PERCENT.format(value) : `${NUMBER.format(value)} ${unit}`;
}

/** A difference of two values, with its sign. */
export function changeOf(change: number, unit: string): string {
  return `${change > 0 ? "+" : change < 0 ? "−" : ""}${valueOf(Math.abs(change), unit)}`;
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
