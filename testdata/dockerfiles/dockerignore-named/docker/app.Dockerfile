# <Dockerfile>.dockerignore wins over .dockerignore.
ARG BUSYBOX=busybox
FROM ${BUSYBOX}
COPY . /app/
RUN test "$(cd /app && find . -type f | sort | tr '\n' ,)" = "./.dockerignore,./a.txt,./c.txt,./docker/app.Dockerfile,./docker/app.Dockerfile.dockerignore,"
