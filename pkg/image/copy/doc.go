// Package copy is COPY and ADD: it reads a build context by the rules of
// .dockerignore, finds out which entries an instruction adds to an image, and brings
// in what ADD takes from elsewhere (URLs, git, archives). It knows trees and entries,
// no layers and no registry, and writes nothing but the temporary files of a Fetcher.
//
// Semantics are those of BuildKit as its sources and docker 20.10 have them. Where the
// two differ, or silence would hide a mistake:
//   - an owner by a name that the image does not have is an error;
//   - parent directories that are made have the mode 0755, whatever --chmod says;
//   - a file that a wildcard found is left out by --exclude, as the reference of the
//     Dockerfile promises;
//   - sockets in the context are left out.
package copy
