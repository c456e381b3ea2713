# Prints the shell lines of a pipeline: `run:` of GitHub and Yunxiao, `goals:` of Gitee Go,
# each with its text behind it or as a block, and `sh '...'` of a Jenkinsfile. Every step is
# headed by a line "#step". ${{ secrets.X }} becomes the value of $SECRET_X, as GitHub puts
# it into the text.
function indent(line) { match(line, /^ */); return RLENGTH }

function put(line,    name) {
  while (match(line, /\$\{\{ *secrets\.[A-Za-z_]+ *\}\}/)) {
    name = substr(line, RSTART, RLENGTH)
    gsub(/^\$\{\{ *secrets\.| *\}\}$/, "", name)
    line = substr(line, 1, RSTART - 1) ENVIRON["SECRET_" name] substr(line, RSTART + RLENGTH)
  }
  print line
}

inside && (NF == 0 || indent($0) > depth) {
  if (NF > 0 && !body) body = indent($0)
  put(substr($0, body + 1))
  next
}
{ inside = 0 }

/^ *(- )?(run|goals): *[|>]/ {
  print "#step"
  inside = 1
  body = 0
  depth = indent($0)
  next
}

/^ *(- )?(run|goals): */ {
  print "#step"
  sub(/^ *(- )?(run|goals): */, "")
  put($0)
}

/^ *sh ['"].*['"] *$/ {
  print "#step"
  sub(/^ *sh ['"]/, "")
  sub(/['"] *$/, "")
  put($0)
}
