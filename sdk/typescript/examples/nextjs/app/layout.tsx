import type { Metadata } from "next";
import Link from "next/link";
import type { ReactNode } from "react";
import "./globals.css";

export const metadata: Metadata = {
  title: "Feature store",
  description: "Financial features as they are known now, and as they were known then.",
};

export default function Layout({ children }: { children: ReactNode }): ReactNode {
  return (
    <html lang="en">
      <body>
        <header>
          <b>Feature store</b>
          <nav>
            <Link href="/">Newest values</Link>
            <Link href="/history">Known then, known now</Link>
          </nav>
        </header>
        <main>{children}</main>
      </body>
    </html>
  );
}
