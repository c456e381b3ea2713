// A function on the custom runtime: an HTTP server on the port that the platform
// names.
package main

import (
	"cmp"
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		name := cmp.Or(r.URL.Query().Get("name"), "you")
		log.Printf("saying hello to %s", name)
		fmt.Fprintf(w, "%s, %s!\n", os.Getenv("GREETING"), name)
	})
	port := cmp.Or(os.Getenv("FC_SERVER_PORT"), "9000")
	log.Fatal(http.ListenAndServe(":"+port, nil))
}
