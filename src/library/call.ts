/** Calls a function of the app's. What it throws, at once or in a promise, is given to `onThrown`, and goes no further. */
export function callOwn(call: () => unknown, onThrown: (error: unknown) => void): void {
  try {
    Promise.resolve(call()).catch(onThrown)
  } catch (error) {
    onThrown(error)
  }
}
