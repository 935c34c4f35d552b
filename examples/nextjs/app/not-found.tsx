import Link from 'next/link'
import { spoken } from '@/lib/language'

export default async function NotFound() {
  const words = await spoken()
  return (
    <section className="narrow">
      <h1>{words.notFound}</h1>
      <p>{words.notFoundLead}</p>
      <Link href="/">{words.members}</Link>
    </section>
  )
}
