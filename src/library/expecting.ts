/** What is said of a job when it is registered. */
export type ExpectOptions = {
  /** Any JSON: kept with the job, and given to the handler. It holds against what the webhook brings. */
  readonly metadata?: unknown
  /** The endpoint that its webhook comes to; without one, the webhook decides. */
  readonly endpoint?: string | undefined
}

/** Whoever registers jobs: a receiver, or a client of one. */
export type Registrar = { expect(jobId: string, options?: ExpectOptions): Promise<unknown> }

export type ExpectingOptions = {
  /** The endpoint that the webhooks of this client's jobs come to. */
  readonly endpoint?: string
  /**
   * Called when a job was submitted and could not be registered. The submission has succeeded all the same: submitting
   * again would make a second job.
   */
  readonly onError?: (error: unknown, jobId: string) => void
}

/**
 * The same Reducto client, whose every `….runJob` registers the job that it submitted, with its metadata, before it
 * resolves: `expecting(new Reducto(), receiver).parse.runJob({ … })`. What it returns, and the client itself, stay as they
 * are. A registration that fails does not fail the call.
 */
export function expecting<Client extends object>(
  client: Client,
  registrar: Registrar,
  options: ExpectingOptions = {},
): Client {
  const wrapped = new WeakMap<object, object>()

  async function register(answer: unknown, body: unknown): Promise<void> {
    const jobId = memberOf(answer, 'job_id')
    if (typeof jobId !== 'string') return
    const { endpoint, onError } = options
    try {
      await registrar.expect(jobId, { metadata: submittedMetadata(body), endpoint })
    } catch (error) {
      try {
        onError?.(error, jobId)
      } catch {
        // The call has succeeded, whatever its observer does.
      }
    }
  }

  function resourceOf(resource: object): object {
    const known = wrapped.get(resource)
    if (known) return known
    const made = new Proxy(resource, {
      get(target, name) {
        const member = Reflect.get(target, name, target)
        if (typeof member !== 'function') return member
        if (name !== 'runJob') return member.bind(target)
        return (...args: unknown[]) => registering(member.apply(target, args), (answer) => register(answer, args[0]))
      },
    })
    wrapped.set(resource, made)
    return made
  }

  return new Proxy(client, {
    get(target, name) {
      const member = Reflect.get(target, name, target)
      if (typeof member === 'function') return member.bind(target)
      const isResource = typeof memberOf(member, 'runJob') === 'function'
      return isResource ? resourceOf(member as object) : member
    },
  })
}

/** A call of the SDK: a promise of its parsed answer, with ways to the raw one. */
type Call = Promise<unknown> & { asResponse?(): Promise<Pick<Response, 'clone'>> }

/**
 * The same call: whichever way its answer is taken, the job is registered first; and it is registered although nobody takes
 * the answer. An error of the call is told by the call alone.
 */
function registering(call: Call, register: (answer: unknown) => Promise<void>): Call {
  // A copy, since the answer may be wanted raw.
  const answer = call.asResponse ? call.asResponse().then((response) => response.clone().json()) : call
  const registered = answer.then(register).catch(() => {})
  return new Proxy(call, {
    get(target, name) {
      // Begun when it is called: to ask whether there is a `then` must leave no promise behind.
      if (name === 'then' || name === 'catch' || name === 'finally')
        return (...on: unknown[]) =>
          Reflect.apply(
            Promise.prototype[name],
            registered.then(() => target),
            on,
          )
      const member = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      if (name !== 'asResponse' && name !== 'withResponse') return member.bind(target)
      return () => registered.then(() => member.call(target))
    },
  })
}

/** Where Reducto takes the metadata: in `async`, for edit in `webhook`. */
function submittedMetadata(body: unknown): unknown {
  return memberOf(memberOf(body, 'async'), 'metadata') ?? memberOf(memberOf(body, 'webhook'), 'metadata') ?? undefined
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined
}
