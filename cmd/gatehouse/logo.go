package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/storage"
)

const maxLogo = 64 << 10

// keepLogo fetches the client's logo once, now, so that users' browsers never ask another host for it. A client without a logo works as well, so a
// failure is only told.
func (p *program) keepLogo(ctx context.Context, c *config.Config, store storage.LogoStore, client *storage.Client) {
	if client.LogoURI == "" {
		return
	}
	logo, err := fetchLogo(ctx, c, client.LogoURI)
	if err == nil {
		logo.ClientID = client.ID
		err = store.PutLogo(ctx, logo)
	}
	if err != nil {
		fmt.Fprintf(p.Err, "gatehouse: the client is saved, but its logo is not shown: %v\n", err)
	}
}

func fetchLogo(ctx context.Context, c *config.Config, url string) (*storage.Logo, error) {
	client, err := openOutbound(c)
	if err != nil {
		return nil, err
	}
	answer, err := client.Get(ctx, url, "image/png, image/jpeg, image/webp")
	if err != nil {
		return nil, err
	}
	if len(answer.Body) > maxLogo {
		return nil, errors.New("it is larger than 64 KiB")
	}
	// What the bytes are counts, not what the other side calls them.
	kind := http.DetectContentType(answer.Body)
	switch kind {
	case "image/png", "image/jpeg", "image/webp":
		return &storage.Logo{ContentType: kind, Data: answer.Body, Fetched: time.Now().UTC()}, nil
	}
	return nil, errors.New("it is no PNG, JPEG or WebP image")
}
