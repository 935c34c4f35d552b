import path from 'node:path'
import type { NextConfig } from 'next'

const checkout = path.join(import.meta.dirname, '../..')

const config: NextConfig = {
  // The client is read from the checkout, which lies above this folder.
  turbopack: { root: checkout },
  outputFileTracingRoot: checkout,
  poweredByHeader: false,
  async headers() {
    const policy = [
      "default-src 'self'",
      // Next writes small scripts of its own into the page.
      `script-src 'self' 'unsafe-inline'${process.env.NODE_ENV === 'development' ? " 'unsafe-eval'" : ''}`,
      "style-src 'self'",
      "img-src 'self' data:",
      "frame-ancestors 'none'",
      "form-action 'self'",
      "base-uri 'none'",
    ]
    return [
      {
        source: '/:path*',
        headers: [
          { key: 'content-security-policy', value: policy.join('; ') },
          { key: 'referrer-policy', value: 'same-origin' },
          { key: 'x-content-type-options', value: 'nosniff' },
        ],
      },
    ]
  },
}

export default config
