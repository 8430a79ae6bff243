/** Fails at each call. */
export default function handle(): never {
  throw new Error('the handler was called')
}
