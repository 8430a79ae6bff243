FROM node:24-bookworm-slim AS base
WORKDIR /app

FROM base AS dependencies
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM base
ENV NODE_ENV=production \
    DATABASE_URL=sqlite:/data/receiver.db \
    RESULTS_URL=file:/data/results
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json package-lock.json LICENSE ./
COPY src ./src
# Node runs the TypeScript as it is: there is no build step.
# The demo shows that the image works, and leaves the compiled code behind for every start.
RUN ln -s /app/src/bin.js /usr/local/bin/receiver \
 && mkdir /data && chown node:node /data \
 && receiver demo --once && rm -rf /tmp/*
USER node
VOLUME /data
EXPOSE 3000
# Alive is enough: a service that waits for its database or drains must not be killed for it.
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["receiver", "serve"]
