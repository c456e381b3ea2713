# The product's images. The context is the folder that build/image.sh assembles:
#
#   make build && build/image.sh ROOT bin/devs BUSYBOX
#   docker build -f Dockerfile -t devs ROOT
#   docker build -f Dockerfile --target full -t devs:full ROOT
#
# and `devs image build` with the same flags makes the same (build/release-image.sh).
# Neither has a USER: the runners of some CIs need root, others bring a user of their
# own. The program at ENTRYPOINT is devs; pkg/cli/entrypoint.go says what it does.
ARG BASE=debian:bookworm-slim

# slim is the product, busybox and certificates: there is no base and no RUN, and every
# file lies in /.devs, so that a build can exchange the root of the container
# (build/image.sh says how).
FROM scratch AS slim
COPY . /
# /.devs/bin stays reachable while the root is exchanged, and so do the certificates, the
# folder for temporary files, and HOME, which would be / without any /etc/passwd: what
# `s config add` writes there would be in the way of the exchange.
ENV PATH=/.devs/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/.devs/root \
    SSL_CERT_FILE=/.devs/etc/ssl/certs/ca-certificates.crt \
    TMPDIR=/.devs/tmp
ENTRYPOINT ["/.devs/bin/entrypoint"]

# packages is what hooks such as `npm install` need. The product comes into it last, so
# that a release changes one small layer; the links to it are made here. npm installs
# programs into /usr/local/bin: /.devs/bin is before it on PATH, so that
# `npm install -g @serverless-devs/s` succeeds and s stays ours; profile.d says the same
# to login shells, which begin PATH anew.
FROM ${BASE} AS packages
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates git nodejs npm python3 python3-pip \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache \
      /var/lib/dpkg/*-old /var/log/apt /var/log/*.log \
 && mkdir -p /.devs/bin /usr/local/bin \
 && ln -s devs /.devs/bin/s \
 && ln -s devs /.devs/bin/entrypoint \
 && ln -s /.devs/bin/devs /usr/local/bin/devs \
 && ln -s /.devs/bin/devs /usr/bin/s \
 && echo 'PATH=/.devs/bin:$PATH' >/etc/profile.d/devs.sh

# full is for hooks that need more than a shell. Commands of RUN in a Dockerfile that is
# built in it run at the level chroot: the root of slim alone can be exchanged.
FROM packages AS full
COPY .devs/bin/devs /.devs/bin/devs
# pip installs although Debian manages its Python (PEP 668): nobody upgrades Debian in
# here. npm's cache is not in HOME, which is / and not writable for a user that the
# image does not know.
ENV PATH=/.devs/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PIP_BREAK_SYSTEM_PACKAGES=1 \
    NPM_CONFIG_CACHE=/tmp/.npm
ENTRYPOINT ["/.devs/bin/entrypoint"]

# Without a target it is slim.
FROM slim
