// Headers that keep browsers from doing anything with our answers that we did not mean: no sniffing, framing, referrer,
// caching or foreign scripts. Routes that serve pages (docs, reports) loosen the policy for themselves.
import type { NextFunction, Request, Response } from 'express';

/** Swagger's page: own scripts from this server, inline styles, nothing from elsewhere. */
const DOCS_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'";

/** A report page: inline styles, scripts and SVG, cut off from this origin's rights. */
export const REPORT_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; sandbox allow-scripts allow-popups; frame-ancestors 'none'; base-uri 'none'";

export function securityHeaders(request: Request, response: Response, next: NextFunction): void {
  const isDocs = request.path === '/docs' || request.path.startsWith('/docs/');
  response.set({
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Content-Security-Policy': isDocs ? DOCS_POLICY : "default-src 'none'; frame-ancestors 'none'",
    'Cache-Control': 'no-store',
  });
  next();
}
