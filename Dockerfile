# The version of Node that `npm ci` installs and the tests run on. Build with --pull to get Debian's fixes.
FROM node:24.21.0-bookworm-slim AS base
WORKDIR /app
# This image has Node: the one that npm brings along stays out, also when an image on top installs more packages.
RUN printf 'omit[]=dev\nomit[]=optional\n' > .npmrc

FROM base AS dependencies
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund

FROM base AS service
ENV NODE_ENV=production \
    DATABASE_URL=sqlite:/data/receiver.db \
    RESULTS_URL=file:/data/results
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json package-lock.json LICENSE ./
COPY src ./src
COPY handlers ./handlers
# - The modes of a checkout under umask 077 would hide the code from the service's user.
# - /app/data leads to the volume, so that relative paths in a .env (sqlite:./data/receiver.db) are kept there too.
# - The demo shows that the image works; with `serve`, which ends for want of settings (78), it fills the compile cache.
#   Node keeps one for each user, so both run as the user of the service. Afterwards only root can change it, and nothing
#   is written there: the root file system can be read-only.
RUN chmod -R a+rX package.json package-lock.json LICENSE src handlers \
 && ln -s /app/src/bin.js /usr/local/bin/receiver \
 && ln -s /data data \
 && install -d -o node -g node -m 700 /data node_modules/.cache \
 && setpriv --reuid=node --regid=node --init-groups receiver demo --once \
 && { setpriv --reuid=node --regid=node --init-groups receiver serve || test $? = 78; } \
 && chown -R root:root node_modules/.cache && chmod -R go=rX node_modules/.cache && rm -rf /tmp/*
USER node
EXPOSE 3000
# Alive is enough: a service that waits for its database or drains must not be killed for it.
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# No VOLUME: without a mount it would hide that the data goes with the container, and some platforms refuse it.
CMD ["receiver", "serve"]

# For platforms that mount volumes as root (`--target root-volume`): starts as root, gives the volume to the service's user,
# then runs the service as that user.
FROM service AS root-volume
USER root
CMD ["sh", "-c", "chown node:node /data && exec setpriv --reuid=node --regid=node --init-groups --no-new-privs receiver serve"]

# What is built when no target is named.
FROM service
