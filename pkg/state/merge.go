package state

import "maps"

// Merge fills into b, which was read from notes, what a whole Book of the same key knows
// more. The notes are right where they differ: they travel with the cloud, the other may
// be that of a folder that was left behind. Where full is one change ahead, the run that
// made it may have ended before it wrote the notes: both states are known then.
func (b *Book) Merge(full *Book) {
	if full == nil || full == b || full.Key != b.Key {
		return
	}
	full.mu.Lock()
	entries, gone := maps.Clone(full.entries), maps.Clone(full.gone)
	full.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, f := range gone {
		if e, known := b.entry(id); !known || !e.recorded() {
			b.gone[id] = f
		}
	}
	for id, f := range entries {
		e, known := b.entry(id)
		switch {
		case !known && (!f.recorded() || b.partial):
			b.set(id, f)
		case !known && f.Attrs != nil:
			// Made just before the run ended, or deleted by another one since.
			b.set(id, Entry{Pending: f.Attrs})
		case !known:
		case e.agree(f.Prints):
			b.set(id, f)
		case f.Previous != nil && f.Attrs != nil && e.agree(f.Previous.Prints):
			before := *f.Previous
			before.Pending = f.Attrs
			b.set(id, before)
		default:
			b.set(id, e)
		}
	}
}
