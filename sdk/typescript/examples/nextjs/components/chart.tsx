"use client";

import { type PointerEvent, type ReactNode, useState } from "react";
import { amountOf, changeOf, dayOf, nowOf } from "@/lib/format";
import type { Row } from "@/lib/history";
import { extentOf, quartersOf, type Scale, scaleOf, ticksOf } from "@/lib/scale";

const WIDTH = 980;
const LEFT = 72;
const RIGHT = WIDTH - 12;
const LINES = { top: 30, bottom: 316 };
const CHANGES = { top: 356, bottom: 426 };
const HEIGHT = 456;

/** A series as it was known on a day, as it is known now, and what changed; values in `unit`, days in UTC. */
export function Chart({ rows, known, unit }: { rows: Row[]; known: string; unit: string }): ReactNode {
  const [chosen, choose] = useState<number>();
  const times = rows.map((row) => Date.parse(row.ts));
  const span = extentOf(times);
  const x = scaleOf(span, [LEFT, RIGHT]);
  const values = rows.flatMap((row) => [row.knownThen, row.knownNow]).filter((value) => value !== null);
  const domain = extentOf(values, 0.06);
  const y = scaleOf(domain, [LINES.bottom, LINES.top]);
  const row = chosen === undefined ? undefined : rows[chosen];

  const follow = (event: PointerEvent<SVGSVGElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    choose(nearest(times.map(x), ((event.clientX - box.left) / box.width) * WIDTH));
  };

  return (
    <figure className="chart">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`The series as known on ${known} and as known now`}
        onPointerMove={follow}
        onPointerLeave={() => choose(undefined)}
      >
        {ticksOf(domain, 5).map((tick) => (
          <g key={tick} className="grid">
            <line x1={LEFT} x2={RIGHT} y1={y(tick)} y2={y(tick)} />
            <text x={LEFT - 8} y={y(tick) + 4} textAnchor="end">
              {amountOf(tick, unit)}
            </text>
          </g>
        ))}
        {quartersOf(span).map((quarter) => (
          <text key={quarter} className="when" x={x(quarter)} y={HEIGHT - 8} textAnchor="middle">
            {dayOf(new Date(quarter)).slice(0, 7)}
          </text>
        ))}
        <KnownOn x={x(Date.parse(known) + 86_400_000)} known={known} />
        <path className="line now" d={pathOf(rows, "knownNow", x, y)} />
        <path className="line then" d={pathOf(rows, "knownThen", x, y)} />
        <Changes rows={rows} unit={unit} x={x} />
        {row && <Crosshair row={row} x={x(Date.parse(row.ts))} y={y} />}
      </svg>
      <figcaption>{row ? <Reading row={row} unit={unit} /> : "Point at the chart to read its values."}</figcaption>
    </figure>
  );
}

function KnownOn({ x, known }: { x: number; known: string }): ReactNode {
  return x < LEFT || x > RIGHT ? null : (
    <g className="known">
      <line x1={x} x2={x} y1={LINES.top} y2={CHANGES.bottom} />
      <text x={x} y={LINES.top - 12} textAnchor={x > (LEFT + RIGHT) / 2 ? "end" : "start"}>
        known on {known}
      </text>
    </g>
  );
}

/** What is known now less what was known then, from a line of no change. */
function Changes({ rows, unit, x }: { rows: Row[]; unit: string; x: Scale }): ReactNode {
  const changes = rows.flatMap((row) =>
    row.knownThen === null || row.knownNow === null ? [] : [row.knownNow - row.knownThen],
  );
  const greatest = changes.reduce((most, change) => Math.max(most, Math.abs(change)), 0);
  const y = scaleOf([-greatest, greatest], [CHANGES.bottom, CHANGES.top]);
  return (
    <g className="changes">
      <text x={LEFT} y={CHANGES.top - 8}>
        {changes.length ? wordsOn(greatest, unit) : "Nothing to compare: none of these values was known then"}
      </text>
      <line x1={LEFT} x2={RIGHT} y1={y(0)} y2={y(0)} />
      {rows.map(({ ts, knownThen, knownNow }) =>
        knownThen === null || knownNow === null || knownThen === knownNow ? null : (
          <line
            key={ts}
            className="change"
            x1={x(Date.parse(ts))}
            x2={x(Date.parse(ts))}
            y1={y(0)}
            y2={y(knownNow - knownThen)}
          />
        ),
      )}
    </g>
  );
}

function wordsOn(greatest: number, unit: string): string {
  return greatest ? `Changed since, by ${amountOf(greatest, unit)} at most` : "Nothing changed since";
}

function Crosshair({ row, x, y }: { row: Row; x: number; y: Scale }): ReactNode {
  return (
    <g className="crosshair">
      <line x1={x} x2={x} y1={LINES.top} y2={CHANGES.bottom} />
      {row.knownNow !== null && <circle className="now" cx={x} cy={y(row.knownNow)} r={4} />}
      {row.knownThen !== null && <circle className="then" cx={x} cy={y(row.knownThen)} r={4} />}
    </g>
  );
}

function Reading({ row, unit }: { row: Row; unit: string }): ReactNode {
  return (
    <>
      <b>{dayOf(row.ts)}</b>
      <span className="then">then {row.knownThen === null ? "not known" : amountOf(row.knownThen, unit)}</span>
      <span className="now">now {nowOf(row.knownNow, unit)}</span>
      {row.knownThen !== null && row.knownNow !== null && (
        <span>
          {row.knownNow === row.knownThen ? "unchanged" : `changed by ${changeOf(row.knownNow - row.knownThen, unit)}`}
        </span>
      )}
    </>
  );
}

/** A line through the values that are known; it begins anew after a gap of one that is not. */
function pathOf(rows: readonly Row[], side: "knownThen" | "knownNow", x: Scale, y: Scale): string {
  let isDown = false;
  return rows
    .map((row) => {
      const value = row[side];
      const command = isDown ? "L" : "M";
      isDown = value !== null;
      return value === null ? "" : `${command}${x(Date.parse(row.ts)).toFixed(1)} ${y(value).toFixed(1)}`;
    })
    .join("");
}

function nearest(places: readonly number[], place: number): number {
  return places.reduce(
    (best, each, index) => (Math.abs(each - place) < Math.abs((places[best] ?? each) - place) ? index : best),
    0,
  );
}
