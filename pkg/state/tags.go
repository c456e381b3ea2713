package state

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
)

// The notes of an application are devs.<8>.0, devs.<8>.1 and so on, where <8> is a hash
// of its name. Their values, put together, are a head and entries in the characters of
// base64url:
//
//	format (1)  salt (1)  number of notes, +32 when incomplete (1)  check sum (3)
//	public key (24)  entries (8 each: 3 of the name, 5 of the print)
//
// A note holds whole entries and has at most 128 characters (TagResource of Function
// Compute).
const (
	notesFormat = '1'
	noteSize    = 128
	headSize    = 6 + publicSize
	hashSize    = 3
	printSize   = 5
	entrySize   = hashSize + printSize
	lockNotes   = 2 // kept free for those who want the lock
	incomplete  = 32
)

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// notePrefix is what the names of all notes of an application begin with.
func notePrefix(app string) string {
	sum := sha256.Sum256([]byte(app))
	return "devs." + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5])) + "."
}

// IsRecord reports whether a note belongs to the record of an application. Claims to
// its lock do not.
func IsRecord(app, name string) bool {
	number, ok := strings.CutPrefix(name, notePrefix(app))
	_, err := strconv.ParseUint(number, 10, 16)
	return ok && err == nil
}

// nameHash returns the salted hash of the name of a resource and of a part of it: 17 bits
// of the name, 1 bit of the part.
func (k Key) nameHash(salt int, id resource.ID, part int) string {
	sum := k.sum("name", strconv.Itoa(salt), string(id.Kind), id.Name)
	n := (int(sum[0])<<16|int(sum[1])<<8|int(sum[2]))&^1&(1<<18-1) | part
	return string([]byte{alphabet[n>>12], alphabet[n>>6&63], alphabet[n&63]})
}

// hashPart returns the part that a nameHash is of.
func hashPart(hash string) int { return strings.IndexByte(alphabet, hash[hashSize-1]) & 1 }

// EncodeNotes returns what has to be set and removed for notes to hold the record, and
// how many resources are dropped because there is no room: of the limit notes of a
// holder, those of others are theirs and two stay free for the lock. old is what the
// holder has; when it holds the record already, nothing is to be done.
func EncodeNotes(b *Book, old map[string]string, limit int) (set map[string]string, remove []string, dropped int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	prefix := notePrefix(b.App)
	room := limit - lockNotes
	var ours []string
	for name := range old {
		switch {
		case IsRecord(b.App, name):
			ours = append(ours, name)
		case !IsLock(name):
			room--
		}
	}
	var values []string
	if room > 0 {
		values, dropped = b.pack(b.oldSalt(old[prefix+"0"]), min(room, incomplete-1))
	} else {
		dropped = len(b.groups(0))
	}
	set = map[string]string{}
	for i, v := range values {
		if name := prefix + strconv.Itoa(i); old[name] != v {
			set[name] = v
		}
	}
	for _, name := range ours {
		if i, _ := strconv.Atoi(strings.TrimPrefix(name, prefix)); i >= len(values) || name != prefix+strconv.Itoa(i) {
			remove = append(remove, name)
		}
	}
	slices.Sort(remove)
	return set, remove, dropped
}

// oldSalt returns the salt to begin with: that of the notes when they have our key.
func (b *Book) oldSalt(first string) int {
	if len(b.hashed) == 0 && len(first) >= headSize && first[6:headSize] == b.Key.Public() {
		return max(0, strings.IndexByte(alphabet, first[1]))
	}
	return b.salt
}

// group is the entries of one resource.
type group struct {
	rank    string // those of lower rank are dropped last
	entries []string
}

// groups returns the entries of all resources, the most important first: those of the
// outer names, and those with code. It is the same for the same resources.
func (b *Book) groups(salt int) []group {
	var all []group
	for id, e := range b.entries {
		if !e.recorded() {
			continue
		}
		g := group{entries: []string{b.Key.nameHash(salt, id, configPart) + shortPrint(e.Config)}}
		code := 1
		if e.Code != "" {
			code = 0
			g.entries = append(g.entries, b.Key.nameHash(salt, id, codePart)+shortPrint(e.Code))
		}
		g.rank = fmt.Sprintf("%03d %d %s %s", strings.Count(id.Name, "/"), code, id.Kind, id.Name)
		all = append(all, g)
	}
	for hash, print := range b.hashed {
		if hashPart(hash) == configPart {
			// The code of the same name differs in the last bit.
			g := group{rank: "000 " + hash, entries: []string{hash + print}}
			code := hash[:hashSize-1] + string(alphabet[strings.IndexByte(alphabet, hash[hashSize-1])|codePart])
			if p, ok := b.hashed[code]; ok {
				g.entries = append(g.entries, code+p)
			}
			all = append(all, g)
		}
	}
	slices.SortFunc(all, func(x, y group) int { return cmp.Compare(x.rank, y.rank) })
	return all
}

// shortPrint returns the beginning of a print.
func shortPrint(print string) string {
	if len(print) < printSize || strings.Trim(print[:printSize], alphabet) != "" {
		sum := sha256.Sum256([]byte(print)) // not one of Key.Prints
		print = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return print[:printSize]
}

// pack returns the values of at most room notes, and how many resources are not in them.
func (b *Book) pack(salt, room int) (values []string, dropped int) {
	groups, lost := b.distinct(salt)
	if len(b.hashed) == 0 { // all names are known: another salt will do
		for try := 0; lost > 0 && try < len(alphabet); try++ {
			if g, l := b.distinct(try); l < lost {
				groups, lost, salt = g, l, try
			}
		}
	}
	var entries []string
	free := (noteSize-headSize)/entrySize + (room-1)*(noteSize/entrySize)
	for i, g := range groups {
		if len(entries)+len(g.entries) > free {
			lost += len(groups) - i
			break
		}
		entries = append(entries, g.entries...)
	}
	if len(entries) == 0 && lost == 0 {
		return nil, 0
	}
	slices.Sort(entries)
	first := min(len(entries), (noteSize-headSize)/entrySize)
	values = []string{strings.Join(entries[:first], "")}
	for part := range slices.Chunk(entries[first:], noteSize/entrySize) {
		values = append(values, strings.Join(part, ""))
	}
	count := len(values)
	if lost > 0 {
		count += incomplete
	}
	head := string(alphabet[salt]) + string(alphabet[count])
	rest := b.Key.Public() + strings.Join(values, "")
	values[0] = string(notesFormat) + head + checkSum(head+rest) + rest[:publicSize] + values[0]
	return values, lost
}

// distinct returns the groups, without those whose names cannot be told from one before.
func (b *Book) distinct(salt int) (groups []group, lost int) {
	seen := map[string]bool{}
	for _, g := range b.groups(salt) {
		if name := g.entries[0][:hashSize]; !seen[name] {
			seen[name] = true
			groups = append(groups, g)
		} else {
			lost++
		}
	}
	return groups, lost
}

// checkSum tells notes that were torn from whole ones.
func checkSum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:3]
}

// DecodeNotes returns the record of an application that notes hold; nil and no error
// when they hold none. extra is DEVS_STATE_KEY. Notes that are damaged in any way are an
// error, a *diag.Problem.
func DecodeNotes(app, extra string, notes map[string]string) (*Book, error) {
	prefix := notePrefix(app)
	first, ok := notes[prefix+"0"]
	if !ok {
		if slices.ContainsFunc(slices.Collect(maps.Keys(notes)), func(name string) bool { return IsRecord(app, name) }) {
			return nil, damagedNotes("the first one is missing")
		}
		return nil, nil
	}
	if first == "" || first[0] != notesFormat {
		return nil, diag.Errorf("the tags with the record are in a format that this version does not know").
			WithHint("use the version that wrote them, or a newer one").WithCode(diag.ExitComponent).WithCause(ErrForeign)
	}
	if len(first) < headSize || strings.Trim(first, alphabet) != "" {
		return nil, damagedNotes("the first one is no record")
	}
	head, sum, rest := first[1:3], first[3:6], first[6:]
	salt, count := strings.IndexByte(alphabet, head[0]), strings.IndexByte(alphabet, head[1])
	for i := 1; i < count%incomplete; i++ {
		v, ok := notes[prefix+strconv.Itoa(i)]
		if !ok || len(v)%entrySize != 0 {
			return nil, damagedNotes("number " + strconv.Itoa(i) + " is missing or cut")
		}
		rest += v
	}
	if checkSum(head+rest) != sum || count%incomplete == 0 {
		return nil, damagedNotes("the check sum is not right")
	}
	key, err := OpenKey(rest[:publicSize], extra)
	if _, told := errors.AsType[*diag.Problem](err); err != nil && !told {
		return nil, damagedNotes(err.Error())
	}
	if err != nil {
		return nil, err
	}
	b := NewBook(app, key)
	b.salt, b.partial = salt, count >= incomplete
	if err := b.unpack(rest[publicSize:]); err != nil {
		return nil, err
	}
	return b, nil
}

// unpack reads entries.
func (b *Book) unpack(text string) error {
	if len(text)%entrySize != 0 || strings.Trim(text, alphabet) != "" {
		return damagedNotes("they hold no entries")
	}
	for ; text != ""; text = text[entrySize:] {
		b.hashed[text[:hashSize]] = text[hashSize:entrySize]
	}
	return nil
}

func damagedNotes(why string) error {
	return diag.Errorf("the tags with the record are damaged: %s", why).
		WithHint("somebody changed them by hand; remove the tags that begin with devs. to begin a new record").WithCode(diag.ExitComponent)
}
