import type { Request } from 'express'
import { type SignInModel, signInPage } from '../../operator/sign-in.ts'
import type { Assets } from './assets.ts'
import { lookOf } from './context.ts'

/** The page of the sign-in, as each request wants it. */
export function createSignInPage({ folder }: Assets, publicUrl: string | null) {
  return (request: Request, model: SignInModel): string =>
    String(signInPage({ ...lookOf(request, publicUrl), assets: folder }, model))
}
