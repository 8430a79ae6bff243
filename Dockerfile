FROM node:24-bookworm-slim AS base
WORKDIR /app
# This image has Node: the one that npm brings along stays out, also when an image on top installs more packages.
RUN printf 'omit[]=dev\nomit[]=optional\n' > .npmrc

FROM base AS dependencies
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund

FROM base
ENV NODE_ENV=production \
    DATABASE_URL=sqlite:/data/receiver.db \
    RESULTS_URL=file:/data/results
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json package-lock.json LICENSE ./
COPY src ./src
# Node runs the TypeScript as it is: there is no build step.
# The demo shows that the image works, and leaves the compiled code behind for every start. Node keeps that for each user,
# so it runs as the one of the service; afterwards only root can change it.
RUN ln -s /app/src/bin.js /usr/local/bin/receiver \
 && install -d -o node -g node -m 700 /data node_modules/.cache \
 && setpriv --reuid=node --regid=node --init-groups receiver demo --once \
 && chown -R root:root node_modules/.cache && chmod -R go=rX node_modules/.cache && rm -rf /tmp/*
USER node
VOLUME /data
EXPOSE 3000
# Alive is enough: a service that waits for its database or drains must not be killed for it.
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["receiver", "serve"]
