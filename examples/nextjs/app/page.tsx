import type { Metadata } from 'next'
import Link from 'next/link'
import { redirect } from 'next/navigation'
import { listMembers } from '@jarvis/client'
import { Failure } from '@/components/failure'
import { asked, caller } from '@/lib/caller'
import { day } from '@/lib/format'
import { spoken } from '@/lib/language'

/** Members on a page. */
const PAGE = 50

export async function generateMetadata(): Promise<Metadata> {
  return { title: { absolute: `${(await spoken()).members} · JARVIS` } }
}

export default async function Members({ searchParams }: { searchParams: Promise<{ q?: string; page?: string }> }) {
  const words = await spoken()
  const { q, page } = await searchParams
  const search = typeof q === 'string' ? q.trim() : ''
  const number = Math.max(1, Math.trunc(Number(page)) || 1)
  const { supabase } = await caller()
  const listed = await asked(() => listMembers(supabase, { search, limit: PAGE, offset: (number - 1) * PAGE }))
  // A page behind the last one, as after members left.
  if ('error' in listed && listed.error.code === 'PGRST103' && number > 1) redirect('/')
  if ('error' in listed) return <Failure error={listed.error} words={words} path="/" />
  const { members, total } = listed.answer
  const to = (page: number) => `/?${new URLSearchParams({ ...(search ? { q: search } : {}), page: String(page) })}`
  return (
    <>
      <h1>{words.members}</h1>
      <form role="search" method="get" className="row">
        <label htmlFor="q">{words.search}</label>
        <input id="q" name="q" type="search" defaultValue={search} maxLength={100} />
        <button>{words.searchButton}</button>
        {search && <Link href="/">{words.showAll}</Link>}
      </form>
      {members.length === 0 ? (
        <p className="empty">{search ? words.noMembersFound(search) : words.noMembers}</p>
      ) : (
        <div className="scroll">
          <table>
            <caption>{words.membersCount(total)}</caption>
            <thead>
              <tr>
                <th scope="col">{words.name}</th>
                <th scope="col">{words.badge}</th>
                <th scope="col">{words.membership}</th>
                <th scope="col">{words.status}</th>
                <th scope="col">{words.lastVisit}</th>
              </tr>
            </thead>
            <tbody>
              {members.map((member) => (
                <tr key={member.id}>
                  <th scope="row">
                    <Link href={`/adherents/${member.id}`}>
                      {member.last_name} {member.first_name}
                    </Link>
                  </th>
                  <td>
                    <code>{member.badge_id}</code>
                  </td>
                  <td>{member.membership_type}</td>
                  <td>{member.is_active ? words.active : words.inactive}</td>
                  <td>{member.last_visit ? day(words, member.last_visit) : words.never}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {total > PAGE && (
        <nav aria-label={words.pages} className="row">
          {number > 1 && <Link href={to(number - 1)}>{words.previous}</Link>}
          {number * PAGE < total && <Link href={to(number + 1)}>{words.next}</Link>}
        </nav>
      )}
    </>
  )
}
