/**
 * A certificate of tests for api.example, storage.example, localhost and 127.0.0.1, and its key, which protects
 * nothing. Made by `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj
 * /CN=test.example -addext subjectAltName=…`.
 */
export const CERTIFICATE = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBwjCCAWegAwIBAgIUN5pQUobyHu68qPelmg/T8PgGiOswCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMdGVzdC5leGFtcGxlMCAXDTI2MTEyNTA1MDE0N1oYDzIxMjYx
MTAxMDUwMTQ3WjAXMRUwEwYDVQQDDAx0ZXN0LmV4YW1wbGUwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAAQMw+E48P8X+DAb/3kZzsCQc4Xyd1wiLykM/EhTE6e2NlOZ
CkoVUGxwoRzQevxL3wWJv38gfbITvpoPJHGcfts1o4GOMIGLMB0GA1UdDgQWBBRO
BJJ8MRIz9kfg5X+FW1YFmgv6wzAfBgNVHSMEGDAWgBROBJJ8MRIz9kfg5X+FW1YF
mgv6wzAPBgNVHRMBAf8EBTADAQH/MDgGA1UdEQQxMC+CC2FwaS5leGFtcGxlgg9z
dG9yYWdlLmV4YW1wbGWCCWxvY2FsaG9zdIcEfwAAATAKBggqhkjOPQQDAgNJADBG
AiEAo54WN6/r0sCDurUtzorg6/DJ3fbM34Bybclo9Fqey4YCIQDes12EZu04QDih
/+5cH0TDnDYt4ka4g7iEMi4r9zY+jw==
-----END CERTIFICATE-----
`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgknvogYncnp6wwXui
hL4Uv23/2lXY1Ae2tseheZqNuIyhRANCAAQMw+E48P8X+DAb/3kZzsCQc4Xyd1wi
LykM/EhTE6e2NlOZCkoVUGxwoRzQevxL3wWJv38gfbITvpoPJHGcfts1
-----END PRIVATE KEY-----
`,
}
